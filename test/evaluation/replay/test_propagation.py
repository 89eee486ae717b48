"""Curves over distances: the same whether frames come as one clip or as snippets, and never across clips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from data_trees import picture
from engine_parts import SIZE, backbone, propagation

from vss_ros.datasets.labelled import LabelledImages, LabelledVideo
from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation
from vss_ros.errors import VssError
from vss_ros.evaluation.card_scores import per_frame_confusion
from vss_ros.evaluation.replay.propagation import deviation_rank_correlation, propagation_distance_accuracy

if TYPE_CHECKING:
    from torch import Tensor

    from vss_ros.engine.view import View

DISTANCES = (0, 1, 3)


def drive(seed: int, count: int) -> LabelledImages:
    """Return frames that move to the left, all labelled."""
    wide, rng = picture(seed, (SIZE[0], 2 * SIZE[1])), np.random.default_rng(seed)
    images = [np.ascontiguousarray(wide[:, 2 * i : 2 * i + SIZE[1]]) for i in range(count)]
    labels = [rng.integers(0, 12, SIZE, np.uint8) for _ in range(count)]
    return LabelledImages(images, labels, [f'{seed}_{i}' for i in range(count)])


def snippets(drives: list[LabelledImages], each: int) -> LabelledVideo:
    """Return the last frame of each stretch of ``each`` frames as labelled, the others as those before."""
    frames = [image for images in drives for image in images.images]
    labels = [mask for images in drives for mask in images.labels]
    places = list(range(each - 1, len(frames), each))
    stills = ([frames[p] for p in places], [labels[p] for p in places], [str(p) for p in places])
    return LabelledVideo(*stills, frames, places, [each - 1] * len(places))


def test_a_snippet_counts_as_the_frame_of_a_drive_where_it_ends() -> None:
    net, whole = backbone(), drive(1, 12)
    moves = propagation(net)
    last = LabelledImages(whole.images, [np.full(SIZE, 11, np.uint8)] * 11 + [whole.labels[-1]], whole.names)
    expected = propagation_distance_accuracy(net, moves, last, DISTANCES)
    assert propagation_distance_accuracy(net, moves, snippets([whole], 12), DISTANCES) == expected
    assert all(0 < value < 1 for value in expected.values())


def test_frames_of_a_size_that_the_network_does_not_take_are_scaled() -> None:
    net = backbone()
    assert all(side % net.size_multiple for side in (45, 61))
    whole = drive(1, 12)
    images = [np.ascontiguousarray(image[:45, :61]) for image in whole.images]
    labels = [np.ascontiguousarray(mask[:45, :61]) for mask in whole.labels]
    odd = LabelledImages(images, labels, whole.names)
    curve = propagation_distance_accuracy(net, propagation(net), odd, DISTANCES)
    assert curve.keys() == set(DISTANCES)
    assert (
        curve[0] == per_frame_confusion(net, LabelledImages(images[10:], labels[10:], whole.names[10:])).miou
    )
    assert 0 < curve[0] < 1


def test_no_hop_leads_from_clip_to_clip() -> None:
    net = backbone()
    moves, parts = propagation(net), [drive(1, 12), drive(2, 12)]
    both = propagation_distance_accuracy(net, moves, snippets(parts, 12), DISTANCES)
    swapped = propagation_distance_accuracy(net, moves, snippets(parts[::-1], 12), DISTANCES)
    assert both == swapped
    every_second = propagation_distance_accuracy(net, moves, snippets(parts, 12), DISTANCES, stride=2)
    assert every_second == propagation_distance_accuracy(net, moves, snippets(parts[:1], 12), DISTANCES)


def test_frames_too_near_the_start_are_an_error() -> None:
    net = backbone()
    with pytest.raises(VssError, match='expected labelled frames with 10 before them'):
        propagation_distance_accuracy(net, propagation(net), snippets([drive(1, 12)], 4), DISTANCES)


class Counting(PredictedDeviation):
    """Counts the pairs it is asked about."""

    pairs = 0

    def score(self, key: Tensor | None, current: Tensor | None, view: View) -> float:
        self.pairs += 1
        return super().score(key, current, view)


def test_deviations_are_ranked_over_pairs_within_clips() -> None:
    net = backbone()
    scheduler = Counting(net.low_channels).eval()
    correlation = deviation_rank_correlation(net, scheduler, snippets([drive(1, 4), drive(2, 4)], 4), (1, 2))
    assert -1 <= correlation <= 1
    assert scheduler.pairs == 2 * (3 + 2)
