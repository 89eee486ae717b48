"""PDA, CCA and interval scores, by hand."""

from __future__ import annotations

from math import isnan, nan

import numpy as np
import pytest

from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix
from vss_ros.evaluation.metrics.distance import (
    DistanceAccuracy,
    interval_scores,
    mean_cost,
)

TRUTH = np.array([[0, 0, 1, 1]], np.uint8)
WORSE = [TRUTH, np.array([[0, 0, 1, 0]], np.uint8), np.array([[0, 1, 1, 0]], np.uint8)]
"""Answers at distances 0, 1 and 2."""


def test_accuracy_by_distance_by_hand() -> None:
    accuracy = DistanceAccuracy(2, 255)
    for distance in (2, 0, 1):
        accuracy.add(distance, TRUTH, WORSE[distance])
    assert list(accuracy.miou) == [0, 1, 2]
    assert list(accuracy.miou.values()) == pytest.approx([1, (2 / 3 + 1 / 2) / 2, 1 / 3])


def test_merge_is_exact_and_the_matrices_add_up() -> None:
    rng = np.random.default_rng(0)
    whole, first, second = (DistanceAccuracy(3, 255) for _ in range(3))
    total = ConfusionMatrix(3, 255)
    for number in range(20):
        truth, answer = rng.integers(0, 3, (2, 4, 5), dtype=np.uint8)
        distance = number % 3 if number < 10 else number % 5
        (first if number < 10 else second).add(distance, truth, answer)
        whole.add(distance, truth, answer)
        total.add(truth, answer)
    first.merge(second)
    assert first.miou == whole.miou
    assert list(first.miou) == [0, 1, 2, 3, 4]
    assert np.array_equal(sum(matrix.counts for matrix in first.matrices.values()), total.counts)


def test_equation_8_by_hand() -> None:
    assert mean_cost(1000, 100, 0) == 1000
    assert mean_cost(1000, 100, 1) == 550
    assert mean_cost(1000, 100, 9) == 190
    assert [mean_cost(60.0, 6.0, distance) for distance in (0, 1, 5)] == [60, 33, 15]


def test_interval_by_hand() -> None:
    average, minimum = interval_scores({0: 0.75, 1: 0.74, 2: 0.70, 3: 0.71, 7: 0.1}, 4)
    assert average == pytest.approx((0.75 + 0.74 + 0.70 + 0.71) / 4)
    assert minimum == 0.71  # the farthest, not the lowest
    assert interval_scores({0: 0.75}, 1) == (0.75, 0.75)


def test_an_interval_with_a_distance_that_no_frame_has_has_no_average() -> None:
    average, minimum = interval_scores({0: 0.75, 4: 0.7}, 5)
    assert isnan(average)
    assert minimum == 0.7
    assert isnan(interval_scores({0: 0.75, 1: nan}, 2)[0])
    assert isnan(interval_scores({}, 2)[1])


def test_errors() -> None:
    accuracy = DistanceAccuracy(2, 255)
    with pytest.raises(VssError, match='distance'):
        accuracy.add(-1, TRUTH, TRUTH)
    accuracy.add(0, TRUTH, TRUTH)
    other = DistanceAccuracy(3, 255)
    other.add(0, TRUTH, TRUTH)
    with pytest.raises(VssError, match='classes'):
        accuracy.merge(other)
    with pytest.raises(VssError, match='distance'):
        mean_cost(1, 1, -1)
    with pytest.raises(VssError, match='interval'):
        interval_scores({0: 1}, 0)
