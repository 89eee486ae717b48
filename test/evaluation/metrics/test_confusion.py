from __future__ import annotations

import json

import numpy as np
import pytest

from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix

TRUTH = np.array([[0, 0, 1, 1], [1, 2, 2, 255]], np.uint8)
PREDICTION = np.array([[0, 1, 1, 1], [0, 2, 255, 0]], np.uint8)


def test_against_a_hand_computed_case() -> None:
    matrix = ConfusionMatrix(4, 255)
    matrix.add(TRUTH, PREDICTION)
    # rows truth 0..3, columns predicted 0..3 and none; the void pixel is nowhere
    assert matrix.counts.tolist() == [[1, 1, 0, 0, 0], [1, 2, 0, 0, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]]
    assert matrix.per_class_iou[:3].tolist() == pytest.approx([1 / 3, 2 / 4, 1 / 2])
    assert np.isnan(matrix.per_class_iou[3])
    assert matrix.miou == pytest.approx((1 / 3 + 1 / 2 + 1 / 2) / 3)
    assert matrix.pixel_accuracy == pytest.approx(4 / 7)
    assert matrix.per_class_accuracy[:3].tolist() == pytest.approx([1 / 2, 2 / 3, 1 / 2])
    assert np.isnan(matrix.per_class_accuracy[3])
    assert matrix.class_accuracy == pytest.approx((1 / 2 + 2 / 3 + 1 / 2) / 3)


def test_one_matrix_over_all_images() -> None:
    whole, first, second = (ConfusionMatrix(4, 255) for _ in range(3))
    first.add(TRUTH[:1], PREDICTION[:1])
    second.add(TRUTH[1:], PREDICTION[1:])
    whole.add(TRUTH, PREDICTION)
    first.merge(second)
    assert np.array_equal(first.counts, whole.counts)


def test_goes_on_from_counts_in_a_file() -> None:
    whole, part = ConfusionMatrix(4, 255), ConfusionMatrix(4, 255)
    part.add(TRUTH, PREDICTION)
    kept = ConfusionMatrix.from_counts(json.loads(json.dumps(part.counts.tolist())), 255)
    for _ in range(2):
        whole.add(TRUTH, PREDICTION)
    kept.add(TRUTH, PREDICTION)
    assert np.array_equal(kept.counts, whole.counts)
    assert part.counts.sum() == 7  # kept is no view of it
    with pytest.raises(VssError, match='shape'):
        ConfusionMatrix.from_counts([[1, 0], [0, 1]], 255)


def test_a_class_only_predicted_counts_as_wrong() -> None:
    matrix = ConfusionMatrix(2, 255)
    matrix.add(np.zeros((2, 2), np.uint8), np.array([[0, 0], [0, 1]], np.uint8))
    assert matrix.per_class_iou.tolist() == [0.75, 0.0]
    assert matrix.miou == 0.375
    assert matrix.class_accuracy == 0.75  # accuracy asks only about classes that are there


def test_empty_is_nan() -> None:
    matrix = ConfusionMatrix(3, 11)
    assert np.isnan([matrix.miou, matrix.pixel_accuracy, matrix.class_accuracy]).all()
    matrix.add(np.full((2, 2), 11, np.uint8), np.zeros((2, 2), np.uint8))
    assert np.isnan(matrix.miou)


def test_large_counts_stay_exact() -> None:
    matrix = ConfusionMatrix(2, 255)
    for _ in range(3):
        matrix.add(np.ones((1000, 1000), np.uint8), np.ones((1000, 1000), np.uint8))
    assert matrix.counts.dtype == np.int64
    assert matrix.counts[1, 1] == 3_000_000


def test_errors() -> None:
    matrix = ConfusionMatrix(3, 11)
    with pytest.raises(VssError, match='shape'):
        matrix.add(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))
    with pytest.raises(VssError, match='class table'):
        matrix.add(np.full((2, 2), 7, np.uint8), np.zeros((2, 2), np.uint8))
    with pytest.raises(VssError, match='void_id'):
        ConfusionMatrix(11, 4)
    with pytest.raises(VssError, match='matrix of 3'):
        matrix.merge(ConfusionMatrix(4, 11))
