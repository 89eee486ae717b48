"""Average and minimum mIoU over a key-frame interval, as GSVNet and Accel state them."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum, nan
from typing import TYPE_CHECKING

from vss_ros.errors import VssError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class IntervalScores:
    """Scores over one key-frame interval of a stated length."""

    interval: int
    """The interval l in frames: a key frame and l - 1 frames after it."""
    average_miou: float
    """Mean of the mIoU at distances 0 to l - 1, 0..1; NaN where one of them was never seen."""
    minimum_miou: float
    """The mIoU at distance l - 1, 0..1; NaN where that was never seen."""


def interval_scores(distance_miou: Mapping[int, float], interval: int) -> IntervalScores:
    """Return the scores over an interval (GSVNet, section 4.1, "Accuracy Metrics").

    GSVNet measures l image pairs (20 - i, 20), i = 0 … l - 1: the key frame lies i frames before the labelled
    one. The *minimum* is by its definition the mIoU of "the non-keyframe farthest away from the keyframe",
    distance l - 1, even where another distance happens to be worse. Whether the *average* pools the pixels of
    all pairs or averages their mIoUs it does not say; here it is the mean of the mIoUs, one at each distance,
    as in Accel (Jain et al. 2019), whose protocol it follows.

    Nothing is made up for a distance that no labelled frame has, as happens where labels are as far apart as
    key frames: the average is then NaN. The PDA protocol fills every distance.

    Args:
        distance_miou: Mean IoU by frames since the key frame, 0 for key frames; ``DistanceAccuracy.miou``.
        interval: The interval l in frames, GSVNet's default being 5.

    Raises:
        VssError: The interval is below 1.
    """
    if interval < 1:
        raise VssError(f'expected an interval of at least 1 frame, got {interval}')
    scores = [distance_miou.get(distance, nan) for distance in range(interval)]
    return IntervalScores(interval, fsum(scores) / interval, scores[-1])
