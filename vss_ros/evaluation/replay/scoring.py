"""Collects what one replay gives, frame by frame: scores, rows and what streaming accuracy needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from vss_ros.engine.labels import resize_labels
from vss_ros.evaluation.metrics.boundary import BoundaryFScore
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix
from vss_ros.evaluation.metrics.distance import DistanceAccuracy
from vss_ros.evaluation.metrics.streaming import StreamingAccuracy, publish_times
from vss_ros.evaluation.metrics.temporal import SMALLEST, TemporalConsistency
from vss_ros.evaluation.replay.input_frames import PackedLabels
from vss_ros.evaluation.replay.result import STREAM_STARTS, FrameRow, row_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vss_ros.engine.frames import Frame, FrameResult


class _Published(NamedTuple):
    """An answer, the size it is published in, and the truth of its frame."""

    mask: PackedLabels
    size: tuple[int, int]
    truth: PackedLabels | None


class Scorer:
    """Scores the answers of one input.

    Args:
        classes: Number of classes C.
        void_id: True label of pixels to ignore.
        at_camera: Whether truth has the camera's size, rather than that of the network's labels.
        steady_at: Size at which steadiness is measured, so that it costs and says the same wherever answers
            come from; None for that of the labels.

    """

    def __init__(
        self, classes: int, void_id: int, *, at_camera: bool, steady_at: tuple[int, int] | None = None
    ) -> None:
        """Start empty."""
        self._classes, self._void_id, self._at_camera = classes, void_id, at_camera
        self._steady_at = steady_at
        self.confusion = ConfusionMatrix(classes, void_id)
        self.by_distance = DistanceAccuracy(classes, void_id)
        self.boundary = BoundaryFScore(classes, void_id)
        self.temporal = TemporalConsistency(classes, void_id)
        self.rows: list[FrameRow] = []
        self.scored = 0
        """Answers that had a truth."""
        self._key_labels: NDArray[np.uint8] | None = None
        self._published: list[_Published] = []

    def add(self, frame: Frame, result: FrameResult, truth: NDArray[np.uint8] | None) -> FrameRow:
        """Score one answer.

        Args:
            frame: The camera image.
            result: The answer.
            truth: Class ids and ``void_id``, at the size of the image or of the answer's labels; None where
                the frame has none.

        Raises:
            VssError: The truth is of other classes.
        """
        size = result.size if self._at_camera else (result.labels.shape[0], result.labels.shape[1])
        score = None
        if truth is not None:
            score = self._score(truth, resize_labels(result.labels, size), result.decision.frames_since_key)
        row = row_of(result, score, self._deviation(result))
        if row.starts_stream:
            self.temporal.new_stream()
        if row.is_key_frame:
            self._key_labels = result.labels
        self._follow(frame.image, result.labels)
        self.rows.append(row)
        packed = None if truth is None else PackedLabels.of(truth)
        self._published.append(_Published(PackedLabels.of(result.labels), size, packed))
        return row

    def _score(self, truth: NDArray[np.uint8], answer: NDArray[np.uint8], distance: int) -> float:
        self.scored += 1
        alone = ConfusionMatrix(self._classes, self._void_id)
        alone.add(truth, answer)
        self.confusion.merge(alone)
        self.by_distance.add(distance, truth, answer)
        self.boundary.add(truth, answer)
        return alone.miou

    def _deviation(self, result: FrameResult) -> float | None:
        """Return the share of labels that differ from the key frame's, None where a stream starts."""
        if self._key_labels is None or result.decision.reason.value in STREAM_STARTS:
            return None
        return float(np.mean(result.labels != self._key_labels))

    def _follow(self, image: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
        """Measure steadiness at the labels' resolution, at which the flow is as good and far cheaper."""
        if self._steady_at is not None:
            labels = resize_labels(labels, self._steady_at)
        if min(labels.shape) < SMALLEST:
            return
        if image.shape[:2] != labels.shape:
            small = cv2.resize(image, labels.shape[::-1], interpolation=cv2.INTER_AREA)
            image = np.asarray(small, np.uint8)
        self.temporal.add(image, labels)

    def streaming(self, latencies: Sequence[float]) -> dict[str, Any] | None:
        """Return the counts of streaming accuracy with these latencies, seconds; None without any truth.

        Each stretch without a break is a stream of its own.
        """
        accuracy = StreamingAccuracy(self._classes, self._void_id)
        stamps = [row.stamp_ns for row in self.rows]
        # A stamp that comes twice is no instant of its own: the stream is cut there as well.
        starts = [i for i, row in enumerate(self.rows) if row.starts_stream or stamps[i] <= stamps[i - 1]]
        for first, end in zip(starts, [*starts[1:], len(stamps)], strict=True):
            accuracy.new_stream()
            times = publish_times(stamps[first:end], latencies[first:end])
            _stream(accuracy, stamps[first:end], times, self._published[first:end])
        return accuracy.to_dict() if accuracy.labelled else None


def _stream(
    accuracy: StreamingAccuracy,
    stamps: Sequence[int],
    times: Sequence[int | None],
    published: Sequence[_Published],
) -> None:
    """Feed one stream in order of time."""
    for stamp, time, (mask, size, truth) in zip(stamps, times, published, strict=True):
        if time is not None:
            accuracy.add_mask(time, stamp, resize_labels(mask.labels(), size))
        accuracy.add_frame(stamp, None if truth is None else truth.labels())
