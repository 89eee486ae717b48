"""Scores what a planner received of a live run: the figures of a replay, drops and real delays included."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import replace
from math import nan
from typing import TYPE_CHECKING

import torch

from vss_ros.engine.build import build_segmenter
from vss_ros.engine.frames import AnsweredBy, Decision, FrameResult, Reason
from vss_ros.engine.labels import label_size, resize_labels
from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.streaming import StreamingAccuracy
from vss_ros.evaluation.replay.clock import describe_machine
from vss_ros.evaluation.replay.evaluate_bag import result_of, with_operations, with_truth
from vss_ros.evaluation.replay.frame_pictures import WorstFrames
from vss_ros.evaluation.replay.operations import frame_operations
from vss_ros.evaluation.replay.result import Evaluated, InputTiming
from vss_ros.evaluation.replay.scoring import Scorer
from vss_ros.images.classes import load_classes
from vss_ros.live.received import Instants
from vss_ros.recordings.bags import is_bag
from vss_ros.recordings.playback import START_NS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.engine.build import Built
    from vss_ros.engine.frames import Frame
    from vss_ros.evaluation.replay.input_frames import InputFrames
    from vss_ros.evaluation.rows import DecisionRow
    from vss_ros.evaluation.sweep.configuration import EvaluationConfig
    from vss_ros.live.received import Received, ReceivedMask


def score_live(frames: InputFrames, config: EvaluationConfig, received: Received) -> Evaluated:
    """Score what was received while an input was played.

    Each mask counts as it came, at the camera's size, against the truth of its own image; images without a
    mask are drops by cause. Streaming accuracy asks at each image's arrival for the newest mask that had
    arrived by then, and where there was none every pixel is wrong.

    Raises:
        VssError: The input cannot be read, or not a single mask has a truth.
    """
    replay = config.as_replay()
    built = build_segmenter(replay.segmenter)
    try:
        judge: _Judge | None = None
        for frame, truth in with_truth(frames, replay, built):
            judge = judge or _Judge(frames, config, received, built, frame)
            judge.add(frame, truth)
        if judge is None or not judge.scorer.scored:
            raise _nothing(frames.path, received, judge)
        result = replace(result_of(frames, judge.scorer, judge.table), pictures=judge.worst.pictures)
        result = replace(result, drops=received.drops(judge.masks))
        with torch.inference_mode():
            operations = frame_operations(built.segmenter.parts, judge.network_size, built.device)
        return Evaluated(with_operations(result, operations), judge.timing(built.device))
    finally:
        built.segmenter.close()


def _nothing(path: Path, received: Received, judge: _Judge | None) -> VssError:
    if judge is not None and judge.masks:
        return VssError(
            f'expected masks with the stamps or names of the images of {path}, got none that fits those '
            'answered; name the mask topic or folder, or compare with the per-frame network by --agreement'
        )
    drops = ', '.join(f'{count} {cause}' for cause, count in received.drops(0).items()) or 'cause unknown'
    return VssError(f'expected at least one mask, got none for {received.sent} images of {path}: {drops}')


class _Judge:
    """Goes through the input's frames and what was received side by side.

    It finds each image's mask, and looks at every image's arrival for the newest one that is there.
    """

    def __init__(
        self, frames: InputFrames, config: EvaluationConfig, received: Received, built: Built, first: Frame
    ) -> None:
        self._agreement = frames.truth == 'per_frame'
        # Bags are played with their own stamps; time of all else starts a little later, as 0 is no stamp.
        self._offset = 0 if is_bag(frames.path) else START_NS
        self.table = table = load_classes(built.card.classes)
        camera = (first.image.shape[0], first.image.shape[1])
        self.network_size = built.segmenter.network_size(camera)
        # A replay measures steadiness at the size of the engine's labels.
        size = label_size(camera, self.network_size)
        self.scorer = Scorer(len(table), table.void_id, at_camera=True, labels_at=size, timed=False)
        self.worst = WorstFrames(table)
        self._accuracy = StreamingAccuracy(len(table), table.void_id)
        self._index = received.index()
        self._masks: Iterator[ReceivedMask] = received.masks()
        self._ahead: defaultdict[int, deque[ReceivedMask]] = defaultdict(deque)
        self._to_come = self._index.masks.copy()
        self._instants = Instants(self._index, config.rate)
        self._published_ns = 0
        self.masks = 0
        """Masks that answer one of the input's images."""
        self._latencies: list[float] = []
        self._delays: list[float] = []

    def add(self, frame: Frame, truth: NDArray[np.uint8] | None) -> None:
        """Take the next frame of the input."""
        stamp = frame.stamp_ns + self._offset
        if truth is not None and self._agreement:
            truth = resize_labels(truth, (frame.image.shape[0], frame.image.shape[1]))
        instant = self._instants.of(stamp)
        mask = self._find(stamp)
        if mask is not None:
            # A subscriber may hear of an image after a mask that was made from it; not before is enough.
            self._published_ns = max(mask.arrived_ns, instant, self._published_ns)
            self._accuracy.add_mask(self._published_ns, instant, mask.labels)
        self._accuracy.add_frame(instant, truth)
        decisions = self._index.decisions[stamp]
        decision = decisions.popleft() if decisions else None
        if decision is None or mask is None:
            return
        row = self.scorer.add(frame, _answer(frame, decision, mask.labels), truth)
        self.worst.offer(row, frame.image, truth, mask.labels)
        self._latencies.append(round(1e3 * decision.latency, 3))
        self._delays.append(round(max(mask.arrived_ns - instant, 0) / 1e6, 3))

    def _find(self, stamp: int) -> ReceivedMask | None:
        """Return the mask of the next image with a stamp; what is met on the way waits for its own."""
        if not self._to_come[stamp]:
            return None
        self._to_come[stamp] -= 1
        waiting = self._ahead[stamp]
        while not waiting:
            mask = next(self._masks)
            self._ahead[mask.stamp_ns].append(mask)
        self.masks += 1
        return self._ahead.pop(stamp).popleft() if len(waiting) == 1 else waiting.popleft()

    def timing(self, device: torch.device) -> InputTiming:
        """Return what clocks measured: latencies, delays and streaming accuracy."""
        return InputTiming(
            latency_ms=tuple(self._latencies),
            metrics={'streaming': self._accuracy.to_dict()},
            machine=describe_machine(device),
            subscriber_ms=tuple(self._delays),
            played_rate=self._index.played_rate,
        )


def _answer(frame: Frame, decision: DecisionRow, labels: NDArray[np.uint8]) -> FrameResult:
    """Return the answer as the engine gave it, with the labels as they were published."""
    return FrameResult(
        frame_index=frame.index,
        stamp_ns=frame.stamp_ns,
        size=(labels.shape[0], labels.shape[1]),
        labels=labels,
        confidence=None,
        decision=Decision(
            frame_index=frame.index,
            is_key_frame=decision.is_key_frame,
            reason=Reason(decision.reason),
            predicted_deviation=nan if decision.predicted_deviation is None else decision.predicted_deviation,
            threshold=nan if decision.threshold is None else decision.threshold,
            # In the input's own time, of which what was played may be ahead.
            key_frame_stamp_ns=frame.stamp_ns - (decision.stamp_ns - decision.key_frame_stamp_ns),
            frames_since_key=decision.frames_since_key,
        ),
        track=AnsweredBy(decision.track),
        features_accurate=decision.features_accurate,
    )
