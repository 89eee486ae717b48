"""Triples of real frames: in order, at the distances asked for, from one clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from vss_ros.datasets.labelled import LabelledVideo
from vss_ros.datasets.pairs import VideoPairs
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from vss_ros.datasets.pairs import Triple

CROP = (32, 32)


def video(places: list[int], earlier: list[int]) -> LabelledVideo:
    """Return frames that are as bright as their number; labels hold the number too."""
    frames = [np.full((*CROP, 3), number, np.uint8) for number in range(places[-1] + 1)]
    labels = [np.full(CROP, place, np.uint8) for place in places]
    return LabelledVideo(
        [frames[p] for p in places], labels, [str(p) for p in places], frames, places, earlier
    )


def numbers(triple: Triple) -> tuple[int, int, int, int]:
    """Return the numbers of key, between and current frame, and of the labels."""
    images = (triple.key, triple.between, triple.current, triple.labels)
    assert all(image.shape[:2] == CROP for image in images)
    return tuple(int(image.flat[0]) for image in images)  # type: ignore[return-value]


def test_triples_of_snippets_end_in_the_labelled_frame() -> None:
    pairs, rng = VideoPairs(video([19, 39], [19, 19])), np.random.default_rng(0)
    seen = set()
    for index in range(60):
        key, between, current, labels = numbers(pairs.draw(index % 2, (2, 10), CROP, rng))
        assert current == labels == (19, 39)[index % 2]
        assert 2 <= current - key <= 10
        assert key <= between < current
        seen.add(current - key)
    assert seen == set(range(2, 11))


def test_distances_end_where_a_clip_begins() -> None:
    pairs, rng = VideoPairs(video([0, 1, 2, 3, 4, 5], [0, 1, 2, 0, 1, 2])), np.random.default_rng(0)
    for index in range(60):  # frames 0, 1, 3 and 4 have no two before them: another is taken
        key, _, current, labels = numbers(pairs.draw(index % 6, (2, 10), CROP, rng))
        assert (key, current) in {(0, 2), (3, 5)}
        assert labels == current


def test_too_few_frames_are_an_error() -> None:
    pairs = VideoPairs(video([3, 5], [3, 1]))
    with pytest.raises(VssError, match='expected 4 frames before a labelled one, got 3 at most'):
        pairs.draw(0, (4, 10), CROP, np.random.default_rng(0))
