"""The boundary F-score against the definition, counted pixel by pixel."""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest

from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.boundary import BoundaryFScore

if TYPE_CHECKING:
    from numpy.typing import NDArray

VOID = 7


def blobs(rng: np.random.Generator, ids: list[int], height: int = 13, width: int = 17) -> NDArray[np.uint8]:
    coarse = rng.choice(ids, (height // 3 + 1, width // 3 + 1))
    labels = np.kron(coarse, np.ones((3, 3), int))[:height, :width]
    noise = rng.random((height, width)) < 0.05
    return np.where(noise, rng.choice(ids, (height, width)), labels).astype(np.uint8)


def boundary(labels: NDArray[np.uint8], truth: NDArray[np.uint8], class_id: int) -> list[tuple[int, int]]:
    found = []
    height, width = labels.shape
    for i, j in product(range(height), range(width)):
        if labels[i, j] != class_id or truth[i, j] == VOID:
            continue
        beside = [(i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)]
        inside = [(y, x) for y, x in beside if 0 <= y < height and 0 <= x < width and truth[y, x] != VOID]
        if any(labels[cell] != class_id for cell in inside):
            found.append((i, j))
    return found


def near(pixels: list[tuple[int, int]], targets: list[tuple[int, int]], distance: float) -> int:
    return sum(any((i - y) ** 2 + (j - x) ** 2 <= distance**2 for y, x in targets) for i, j in pixels)


@pytest.mark.parametrize('tolerance', [1, 1.5, 2, 5**0.5, 4])
def test_against_brute_force(tolerance: float) -> None:
    rng = np.random.default_rng(int(tolerance * 10))
    score = BoundaryFScore(4, VOID, tolerance)
    expected = np.zeros((4, 4), int)
    for _ in range(6):
        truth = blobs(rng, [0, 1, 2, VOID])
        prediction = np.where(rng.random(truth.shape) < 0.9, np.roll(truth, 1, 1), blobs(rng, [0, 1, 3, 255]))
        prediction = prediction.astype(np.uint8)
        score.add(truth, prediction)
        for class_id in range(4):
            true, predicted = boundary(truth, truth, class_id), boundary(prediction, truth, class_id)
            expected[class_id] += [
                len(predicted),
                near(predicted, true, tolerance),
                len(true),
                near(true, predicted, tolerance),
            ]
    assert score.counts.tolist() == expected.tolist()
    predicted, hits, true, found = expected[:3].T
    precision, recall = hits / predicted, found / true
    assert score.per_class[:3] == pytest.approx(2 * precision * recall / (precision + recall))
    assert score.per_class[3] == 0  # predicted, never true
    assert score.mean == pytest.approx(score.per_class.mean())
    assert score.tolerance_px == tolerance


def test_a_shifted_edge_by_hand() -> None:
    truth = np.zeros((10, 20), np.uint8)
    truth[:, 10:] = 1
    shifted = np.zeros_like(truth)
    shifted[:, 13:] = 1
    scores = []
    for tolerance in (1, 2, 3):
        score = BoundaryFScore(2, 255, tolerance)
        score.add(truth, shifted)
        scores.append(score.mean)
    assert scores == [0, 0, 1]  # three columns away


def test_the_same_mask_is_perfect_and_flat_ones_have_no_score() -> None:
    truth = blobs(np.random.default_rng(0), [0, 1, 2])
    score = BoundaryFScore(5, 255)
    score.add(truth, truth)
    assert score.per_class[:3].tolist() == [1, 1, 1]
    assert np.isnan(score.per_class[3:]).all()
    assert score.mean == 1
    flat = BoundaryFScore(2, 255)
    flat.add(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8))
    assert np.isnan(flat.mean)


def test_a_share_of_the_diagonal_is_rounded_up() -> None:
    score = BoundaryFScore(2, 255)
    assert score.tolerance_px == 0
    score.add(np.zeros((360, 480), np.uint8), np.zeros((360, 480), np.uint8))
    assert score.tolerance_px == 5  # 0.0075 of 600 pixels is 4.5
    other = BoundaryFScore(2, 255)
    other.add(np.zeros((600, 800), np.uint8), np.zeros((600, 800), np.uint8))
    score.merge(other)
    assert score.tolerance_px == 8


def test_merge_is_exact() -> None:
    rng = np.random.default_rng(3)
    whole, first, second = (BoundaryFScore(3, 255, 2) for _ in range(3))
    for part in (first, second):
        truth, prediction = blobs(rng, [0, 1, 2]), blobs(rng, [0, 1, 2])
        part.add(truth, prediction)
        whole.add(truth, prediction)
    first.merge(second)
    assert np.array_equal(first.counts, whole.counts)
    assert first.mean == whole.mean


def test_goes_on_from_a_file() -> None:
    rng = np.random.default_rng(4)
    score = BoundaryFScore(3, 255)
    score.add(blobs(rng, [0, 1, 2]), blobs(rng, [0, 1, 2]))
    kept = BoundaryFScore.from_dict(json.loads(json.dumps(score.to_dict())))
    assert kept.per_class.tolist() == score.per_class.tolist()
    assert kept.tolerance_px == score.tolerance_px > 0
    kept.merge(score)
    assert np.array_equal(kept.counts, 2 * score.counts)


def test_errors() -> None:
    with pytest.raises(VssError, match='tolerance'):
        BoundaryFScore(2, 255, 0)
    with pytest.raises(VssError, match='void_id'):
        BoundaryFScore(3, 2)
    score = BoundaryFScore(2, 255)
    with pytest.raises(VssError, match='shape'):
        score.add(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))
    with pytest.raises(VssError, match='tolerance'):
        score.merge(BoundaryFScore(2, 255, 3))
