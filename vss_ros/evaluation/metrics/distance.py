"""Accuracy over propagation distance: PDA and CCA curves, average and minimum over a key-frame interval."""

from __future__ import annotations

from math import fsum, nan
from typing import TYPE_CHECKING, Any, ClassVar

from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.base import METRICS, Column, Metric, Naming
from vss_ros.evaluation.rows import rounded

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.evaluation.metrics.base import ScoredFrame


@METRICS.register('distance')
class DistanceAccuracy(Metric):
    """Accuracy by propagation distance: frames since the key frame that an answer comes from, 0 for itself.

    Of a replay it counts every labelled frame at the distance at which it was answered.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        Column(
            'interval_minimum', ('interval', 'minimum_miou'), 'at the farthest',
            '{score} of the frames farthest from their key frame.',
        ),
    )  # fmt: skip

    def update(self, frame: ScoredFrame) -> None:
        """Count one answered frame."""
        if frame.confusion is not None:
            self.matrix(frame.row.frames_since_key).merge(frame.confusion)

    def add(self, distance: int, truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> None:
        """Count one labelled frame.

        Args:
            distance: Frames since the key frame its answer was propagated from, 0 for a key frame.
            truth: Class ids and ``void_id``, ``(H, W)``.
            prediction: Class ids, ``(H, W)``.

        Raises:
            VssError: The distance is negative, or as ``ConfusionMatrix.add``.
        """
        if distance < 0:
            raise VssError(f'expected a distance of 0 frames or more, got {distance}')
        self.matrix(distance).add(truth, prediction)

    @property
    def miou(self) -> dict[int, float]:
        """Mean IoU at each distance that occurred, 0..1, by growing distance."""
        return {distance: matrix.miou for distance, matrix in sorted(self.matrices.items())}

    def values(self, naming: Naming) -> dict[str, Any]:  # noqa: ARG002
        """Return mIoU by distance and over the longest interval between key frames."""
        interval = max(self.matrices) + 1
        average, minimum = map(rounded, interval_scores(self.miou, interval))
        return {
            'distance_miou': self._by_distance(),
            'interval': {'frames': interval, 'average_miou': average, 'minimum_miou': minimum},
        }

    def _by_distance(self) -> dict[str, float | None]:
        return {str(distance): rounded(miou) for distance, miou in self.miou.items()}


@METRICS.register('pda', paper='distortion-aware, section IV-B')
class PropagationDistance(DistanceAccuracy):
    """The PDA curve: the same labelled frames at every distance, so that distances compare fairly.

    Each frame is propagated from the key frame so many frames before it, which no replay does;
    ``replay.propagation`` counts them apart where it is asked for.
    """

    columns = ()
    sees_replay = False

    def values(self, naming: Naming) -> dict[str, Any]:  # noqa: ARG002
        """Return mIoU by distance."""
        return {'pda': self._by_distance()}


def mean_cost(key: float, between: float, distance: float) -> float:
    """Return the mean cost of a frame, C_mean = (C_seg + C_warp * D_P) / (D_P + 1) (Eq. 8).

    The CCA curve is accuracy by distance over this cost: with FLOPs the paper's, with measured milliseconds
    that of a machine. What the scheduler decides and costs on a real stream is not in it.

    Args:
        key: Cost of a key frame, C_seg: FLOPs, milliseconds or any unit.
        between: Cost of a frame between key frames, C_warp, in the same unit.
        distance: D_P, frames between two key frames.

    Raises:
        VssError: The distance is negative.
    """
    if distance < 0:
        raise VssError(f'expected a distance of 0 frames or more, got {distance}')
    return (key + between * distance) / (distance + 1)


def interval_scores(distance_miou: Mapping[int, float], interval: int) -> tuple[float, float]:
    """Return the average and the minimum mIoU over an interval between key frames.

    GSVNet (section 4.1, "Accuracy Metrics") measures l image pairs (20 - i, 20), i = 0 … l - 1: the key frame
    lies i frames before the labelled one. The *minimum* is by its definition the mIoU of "the non-keyframe
    farthest away from the keyframe", distance l - 1, even where another distance happens to be worse. Whether
    the *average* pools the pixels of all pairs or averages their mIoUs it does not say; here it is the mean
    of the mIoUs, one at each distance, as in Accel (Jain et al. 2019), whose protocol it follows.

    Nothing is made up for a distance that no labelled frame has, as happens where labels are as far apart as
    key frames: the average is then NaN. The PDA protocol fills every distance.

    Args:
        distance_miou: Mean IoU by frames since the key frame, 0 for key frames; ``DistanceAccuracy.miou``.
        interval: The interval l in frames, GSVNet's default being 5.

    Returns:
        Average and minimum, 0..1; NaN where a distance they need was never seen.

    Raises:
        VssError: The interval is below 1.
    """
    if interval < 1:
        raise VssError(f'expected an interval of at least 1 frame, got {interval}')
    scores = [distance_miou.get(distance, nan) for distance in range(interval)]
    return fsum(scores) / interval, scores[-1]
