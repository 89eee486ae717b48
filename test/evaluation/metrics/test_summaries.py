"""What each metric counts of answered frames, and the entries it adds to a summary, by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from vss_ros.errors import VssError
from vss_ros.evaluation.metrics import Column, Naming, ScoredFrame
from vss_ros.evaluation.metrics.accuracy import Accuracy
from vss_ros.evaluation.metrics.boundary import BoundaryFScore
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix
from vss_ros.evaluation.metrics.distance import DistanceAccuracy, PropagationDistance
from vss_ros.evaluation.metrics.streaming import StreamingAccuracy
from vss_ros.evaluation.metrics.temporal import SMALLEST, TemporalConsistency, _cancel
from vss_ros.evaluation.rows import FrameRow

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMING = Naming(('road', 'car'), 'agreement')
TRUTH = np.array([[0, 0, 0, 1]], np.uint8)
ANSWER = np.array([[0, 0, 1, 1]], np.uint8)
MIOU = round((2 / 3 + 1 / 2) / 2, 6)
"""Of ``ANSWER``."""


def answered(
    mask: NDArray[np.uint8],
    truth: NDArray[np.uint8] | None,
    *,
    since_key: int = 0,
    stamp_ns: int = 0,
    reason: str = '',
    image: NDArray[np.uint8] | None = None,
) -> ScoredFrame:
    """Return a frame of two classes as a replay gives it to metrics."""
    confusion = None
    if truth is not None:
        confusion = ConfusionMatrix(2, 255)
        confusion.add(truth, mask)
    row = FrameRow(0, stamp_ns, not since_key, reason, None, None, 0, since_key, 'full', True, None, None)
    picture = np.zeros((*mask.shape, 3), np.uint8) if image is None else image
    return ScoredFrame(picture, mask, mask, truth, confusion, row)


def test_accuracy() -> None:
    metric = Accuracy(2, 255)
    metric.update(answered(ANSWER, TRUTH))
    metric.update(answered(ANSWER, None))
    assert metric.values(NAMING) == {
        'agreement': MIOU,
        'pixel_accuracy': 0.75,
        'class_accuracy': round((2 / 3 + 1) / 2, 6),
        'per_class_iou': {'road': round(2 / 3, 6), 'car': 0.5},
        'confusion': [[2, 1, 0], [0, 1, 0]],  # the last column: pixels without a class
    }


def test_accuracy_by_distance() -> None:
    metric, pda = DistanceAccuracy(2, 255), PropagationDistance(2, 255)
    for each in (metric, pda):
        each.update(answered(TRUTH, TRUTH))
        each.update(answered(ANSWER, TRUTH, since_key=1))
        each.update(answered(ANSWER, None, since_key=2))
    by_distance = {'0': 1.0, '1': MIOU}
    average = round((1 + (2 / 3 + 1 / 2) / 2) / 2, 6)
    assert metric.values(NAMING) == {
        'distance_miou': by_distance,
        'interval': {'frames': 2, 'average_miou': average, 'minimum_miou': MIOU},
    }
    assert pda.values(NAMING) == {'pda': by_distance}


def test_boundaries() -> None:
    truth = np.zeros((10, 20), np.uint8)
    truth[:, 10:] = 1
    metric = BoundaryFScore(3, 255)
    metric.update(answered(truth, truth))
    metric.update(answered(1 - truth, None))
    assert metric.values(Naming(('road', 'car', 'sky'), 'miou')) == {
        'boundary_f': {'tolerance_px': 1.0, 'mean': 1.0, 'per_class': {'road': 1.0, 'car': 1.0, 'sky': None}}
    }
    wide = BoundaryFScore(2, 255, 5)
    wide.update(answered(np.roll(truth, 3, 1), truth))
    kept = BoundaryFScore.from_dict(json.loads(json.dumps(wide.to_dict())))
    assert kept.tolerance_px == 5
    kept.merge(wide)


def test_steadiness_of_masks_that_may_be_smaller_than_the_picture() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (2 * SMALLEST, 2 * SMALLEST, 3), dtype=np.uint8)
    left = np.zeros((SMALLEST, SMALLEST), np.uint8)
    left[:, : SMALLEST // 2] = 1
    metric = TemporalConsistency(2, 255)
    metric.update(answered(left, None, image=picture))
    metric.update(answered(left, None, image=picture))
    assert metric.values(NAMING) == {'temporal_consistency': 1.0}
    metric.update(answered(1 - left, None, image=picture))
    assert metric.values(NAMING) == {'temporal_consistency': round(1 / 3, 6)}
    too_small = TemporalConsistency(2, 255)
    for _ in range(2):
        too_small.update(answered(left[1:], None, image=picture))
    assert too_small.values(NAMING) == {'temporal_consistency': None}


@pytest.mark.parametrize(('returning', 'near'), [(-11.5, True), (-11.8, False), (-8.0, False)])
def test_forth_and_back_cancel_within_a_hundredth_of_the_squares_and_half_a_pixel(
    returning: float, near: bool
) -> None:
    there = np.zeros((8, 8, 2), np.float32)
    home = np.zeros((8, 8, 2), np.float32)
    there[..., 1], home[..., 1] = 10, returning
    # 1.5² < 0.01 (10² + 11.5²) + 0.5, but 1.8² > 0.01 (10² + 11.8²) + 0.5
    assert (_cancel(there, home) == near).all()


def test_a_replay_as_streams() -> None:
    road, car = np.zeros((1, 4), np.uint8), np.ones((1, 4), np.uint8)
    millisecond = 10**6
    metric = StreamingAccuracy(2, 255)
    for stamp, reason, mask, truth in (
        (0, 'first', road, road),  # a miss: its mask comes at 50 ms
        (100, '', road, None),
        (200, '', road, road),  # the mask of 100 is the newest
        (5000, 'gap', car, car),  # a miss again: what was published before the gap is forgotten
        (5100, '', car, car),
        (5100, '', car, car),  # a stamp that comes twice begins a stream, too
    ):
        metric.update(answered(mask, truth, stamp_ns=stamp * millisecond, reason=reason))
    metric.finish([0.05] * 6)
    assert metric.values(NAMING) == {
        'streaming': {
            'agreement': round((4 / 8 + 4 / 12) / 2, 6),
            'mean_staleness_frames': 1.0,
            'labelled': 5,
            'misses': 3,
        }
    }


def test_columns_name_the_score() -> None:
    column = Column('x', ('score',), '{score} at all', 'What {score} is.', short=('{score}', '{score} %'))
    agreement = column.named('agreement')
    assert (agreement.head, agreement.about) == ('agreement at all', 'What agreement is.')
    assert agreement.short == ('agree', 'agree %')  # narrow enough for a terminal
    assert column.named('mIoU').short == ('mIoU', 'mIoU %')


def test_the_first_id_beyond_the_classes_is_no_class() -> None:
    beyond = np.full((SMALLEST, SMALLEST), 2, np.uint8)
    road = np.zeros_like(beyond)
    with pytest.raises(VssError, match='true labels below 2'):
        ConfusionMatrix(2, 255).add(beyond, road)
    boundary = BoundaryFScore(2, 255)
    half = road.copy()
    half[:, 4:] = 1
    boundary.add(half, np.where(half, beyond, road))
    assert boundary.counts[:, 0].tolist() == [SMALLEST, 0]  # of the road alone
    steadiness = TemporalConsistency(2, 255)
    for mask in (beyond, road):
        steadiness.add(np.zeros((*mask.shape, 3), np.uint8), mask)
    assert np.isnan(steadiness.miou)
    assert ConfusionMatrix(1, 1).classes == 1  # fewest classes, lowest void id
