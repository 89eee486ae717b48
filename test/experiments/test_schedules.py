"""Schedules of key frames, and thresholds that make them equally frequent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from engine_parts import backbone, propagation

from experiments.pair_table import PairTable
from experiments.schedules import (
    TrueDeviation,
    _at_rate,
    _Point,
    adaptive_schedule,
    compare,
    fixed_schedule,
    thresholds_for,
)
from vss_ros.datasets.labelled import LabelledImages
from vss_ros.engine.schedulers import Scheduler
from vss_ros.engine.view import View, look
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix


def scores(frames: int = 40, furthest: int = 12) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return scores that rise with distance, each key frame's at a rate of its own, with some noise."""
    rng = np.random.default_rng(0)
    table = rng.uniform(0.2, 1.0, (frames, 1)) * np.arange(furthest + 1.0) + rng.normal(
        0, 0.3, (frames, furthest + 1)
    )
    table[:, 0] = np.nan
    return table


def test_a_key_frame_follows_where_the_score_passes_or_the_table_ends() -> None:
    table = np.full((8, 4), 0.0)
    table[2, 1] = 1.0
    assert adaptive_schedule(table, 1, 0.5) == [1, 4, 7]
    assert adaptive_schedule(table, 2, 0.5) == [2, 3, 6]
    assert fixed_schedule(8, 1, 3) == [1, 4, 7]


@pytest.mark.parametrize('interval', [3, 5, 8])
def test_all_thresholds_that_meet_the_rate_are_found(interval: int) -> None:
    table, starts = scores(), range(5)
    wanted = sum(len(fixed_schedule(len(table), first, interval)) for first in starts)

    def made(threshold: float) -> int:
        return sum(len(adaptive_schedule(table, first, threshold)) for first in starts)

    chosen = thresholds_for([table], starts, wanted)
    assert all(abs(made(threshold) - wanted) <= 0.05 * wanted for threshold in chosen)
    meeting = [t for t in np.linspace(0, 12, 500) if abs(made(t) - wanted) <= 0.05 * wanted]
    assert meeting
    assert min(chosen) <= min(meeting)
    assert len(chosen) >= len({made(threshold) for threshold in meeting})


def test_where_no_threshold_meets_the_rate_the_closest_does() -> None:
    table = scores()
    fewest = len(fixed_schedule(len(table), 0, table.shape[1] - 1))
    assert {len(adaptive_schedule(table, 0, t)) for t in thresholds_for([table], [0], 1)} == {fewest}


class Told(Scheduler):
    """Scores as told by key frame and distance."""

    def __init__(self, rate: float) -> None:
        super().__init__(1)
        self.rate = rate

    def prepare(self, view: View) -> torch.Tensor:
        return torch.tensor(view.pixels.mean())

    def score(self, key: torch.Tensor | None, current: torch.Tensor | None, view: View) -> float:
        assert key is not None
        assert current is not None
        return self.rate * abs(float(current - key))


def test_schedulers_are_compared_at_one_rate_over_all_drives() -> None:
    net, rng = backbone(), np.random.default_rng(0)
    labels = [rng.integers(0, 11, (64, 96), np.uint8) for _ in range(24)]

    def table(step: int) -> PairTable:
        """Return a drive that brightens by ``step`` a frame."""
        images = [np.full((64, 96, 3), 20 + step * i, np.uint8) for i in range(24)]
        video = LabelledImages(images, labels, [str(i) for i in range(24)])
        return PairTable(net, propagation(net, 'reuse'), {'told': Told(0.01)}, video, 12)

    slow, fast = table(1), table(8)
    rows = list(compare([slow, fast], [4], starts=3))
    assert [row['scheduler'] for row in rows] == ['fixed_interval', 'told']
    fixed, told = (float(row['key_frame_rate']) for row in rows)
    assert told == pytest.approx(fixed, rel=0.15)  # the nearest there is
    (threshold, *_) = thresholds_for([slow.scores['told'], fast.scores['told']], range(3), 36)
    keys = [len(adaptive_schedule(drive.scores['told'], 0, threshold)) for drive in (slow, fast)]
    assert keys[0] < 6 < keys[1]  # the budget goes where things change
    alone = [next(compare([drive], [4], starts=1))['miou'] for drive in (slow, fast)]
    both = next(compare([slow, fast], [4], starts=1))['miou']
    matrix = ConfusionMatrix(11, 11)
    for drive in (slow, fast):
        matrix.counts[...] += drive.confusion(fixed_schedule(24, 0, 4)).counts
    assert both == matrix.miou
    assert len({*alone, both}) == 3


def test_a_score_at_a_rate_is_read_off_the_line_through_its_neighbours() -> None:
    around = [_Point(rate, 0.5 + rate) for rate in (0.18, 0.19, 0.21)]
    assert _at_rate(0.2, around) == pytest.approx((0.2, 0.7))
    # Nothing is made up beyond them, nor from one rate.
    assert _at_rate(0.1, around[:2]) == pytest.approx((0.185, 0.685))
    assert _at_rate(0.2, [_Point(0.2, 0.6), _Point(0.2, 0.8)]) == pytest.approx((0.2, 0.7))


def test_the_true_deviation_is_the_share_of_labels_that_changed() -> None:
    net = backbone()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 64, 96, 3), dtype=np.uint8)
    judge = TrueDeviation(net)
    assert not list(judge.parameters())
    with torch.inference_mode():
        first, second = (look(net, image[None]) for image in images)
        labels = [net(view.image).argmax(1) for view in (first, second)]
        expected = float((labels[0] != labels[1]).float().mean())
        key, current = judge.prepare(first), judge.prepare(second)
        assert judge.score(key, key, first) == 0
        assert judge.score(key, current, second) == pytest.approx(expected)
    assert expected > 0
