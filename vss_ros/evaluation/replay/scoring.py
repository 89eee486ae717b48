"""Scores the answers of one input: gives each frame to every metric and keeps its row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vss_ros.engine.labels import resize_labels
from vss_ros.evaluation.metrics import METRICS, Metric, ScoredFrame
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix
from vss_ros.evaluation.rows import STREAM_STARTS, FrameRow, rounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vss_ros.engine.frames import Frame, FrameResult


class Scorer:
    """Scores the answers of one input.

    Args:
        classes: Number of classes C.
        void_id: True label of pixels to ignore.
        at_camera: Whether truth has the camera's size, rather than that of the network's labels.
        labels_at: Size of the engine's labels, where answers come at another; None where they are these.
        timed: Whether to count also for metrics that need latencies.
    """

    def __init__(
        self,
        classes: int,
        void_id: int,
        *,
        at_camera: bool,
        labels_at: tuple[int, int] | None = None,
        timed: bool = True,
    ) -> None:
        self.classes, self.void_id = classes, void_id
        self._at_camera, self._labels_at = at_camera, labels_at
        self._metrics: dict[str, Metric] = {
            member.name: member.cls(classes, void_id)
            for member in METRICS
            if member.cls.sees_replay and (timed or not member.cls.needs_latencies)
        }
        self.rows: list[FrameRow] = []
        self.scored = 0
        """Answers that had a truth."""
        self._key_labels: NDArray[np.uint8] | None = None

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
        labels = result.labels
        mask = resize_labels(labels, result.size) if self._at_camera else labels
        alone = None
        if truth is not None:
            self.scored += 1
            alone = ConfusionMatrix(self.classes, self.void_id)
            alone.add(truth, mask)
        score = None if alone is None else rounded(alone.miou)
        starts = self._key_labels is None or result.decision.reason.value in STREAM_STARTS
        deviation = None if starts else rounded(float(np.mean(labels != self._key_labels)))
        row = FrameRow.of(result, score=score, deviation=deviation)
        if row.is_key_frame:
            self._key_labels = labels
        small = labels if self._labels_at is None else resize_labels(labels, self._labels_at)
        sure = result.confidence
        if sure is not None and sure.shape != mask.shape:
            sure = resize_labels(sure, result.size)
        scored = ScoredFrame(frame.image, small, mask, truth, alone, row, sure, result.age)
        for metric in self._metrics.values():
            metric.update(scored)
        self.rows.append(row)
        return row

    def counts(self) -> dict[str, dict[str, Any]]:
        """Return what the metrics that need no latencies have counted, by their names."""
        return self._counts(timed=False)

    def timed_counts(self, latencies: Sequence[float]) -> dict[str, dict[str, Any]]:
        """Return what the others count with these latencies of all frames, seconds; to be called once."""
        for metric in self._metrics.values():
            metric.finish(latencies)
        return self._counts(timed=True)

    def _counts(self, *, timed: bool) -> dict[str, dict[str, Any]]:
        counted = self._metrics.items()
        return {name: metric.to_dict() for name, metric in counted if metric.needs_latencies == timed}
