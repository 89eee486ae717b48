"""The algorithm: ``StreamSegmenter.step`` turns a frame into labels and a key-frame decision."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import torch

from vss_ros.engine.confidence import Confidence
from vss_ros.engine.frames import AnsweredBy, Decision, Frame, FrameResult, Reason
from vss_ros.engine.labels import argmax_upsampled, label_size
from vss_ros.engine.memory.continuity import Continuity
from vss_ros.engine.memory.key_frame_cache import KeyFrameCache, Source
from vss_ros.engine.motion.base import MotionTrail
from vss_ros.engine.schedulers.base import Verdict
from vss_ros.engine.view import View
from vss_ros.engine.whole_network import WholeNetwork
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from vss_ros.engine.backbones.base import Backbone
    from vss_ros.engine.memory.key_frame_cache import KeyFrame
    from vss_ros.engine.motion import MotionEstimator
    from vss_ros.engine.preprocess import Preprocessor
    from vss_ros.engine.propagation.base import Propagation
    from vss_ros.engine.schedulers.base import Scheduler
    from vss_ros.engine.tracks import Track

WARM_UP_STEPS = 3


@dataclass(frozen=True, slots=True)
class Parts:
    """The exchangeable parts of one segmenter."""

    backbone: Backbone
    propagation: Propagation | None
    """None: the whole network runs on every frame."""
    scheduler: Scheduler
    track: Track
    motion: MotionEstimator | None = None
    """None where neither propagation nor scheduler looks at motion."""


class StreamSegmenter:
    """Segments one camera stream, frame by frame.

    Everything but ``request_key_frame`` and ``request_reset`` belongs to the one thread that calls ``step``.

    Args:
        network: The parts' work as a runtime computes it; None: in PyTorch.
        confidence: Says how sure answers are, and how sure they have to be.
        max_gap_ns: A longer silence between two frames makes the second a key frame; nanoseconds.
        on_slow_track_error: Called with what went wrong in the slow track; the fast track goes on.
    """

    def __init__(
        self,
        parts: Parts,
        preprocess: Preprocessor,
        *,
        network: WholeNetwork | None = None,
        confidence: Confidence | None = None,
        max_gap_ns: int = 1_000_000_000,
        on_slow_track_error: Callable[[BaseException], None] | None = None,
    ) -> None:
        self.parts = parts
        self.late_results_dropped = 0
        self.slow_track_errors = 0
        self.preprocess = preprocess
        self.confidence = confidence or Confidence()
        self._on_slow_track_error = on_slow_track_error
        self.network = network = network or WholeNetwork(
            parts.backbone, parts.propagation, parts.scheduler, parts.motion, statistics=preprocess.statistics
        )
        self._cache = KeyFrameCache()
        self._trail = MotionTrail(parts.motion, network.estimate)
        self._continuity = Continuity(max_gap_ns)
        self._distance = 0
        self._submitted = 0  # number of the last key frame that the slow track was given
        self._computed: tuple[Tensor | None, FrameResult] | None = None  # the last frame that was not `STILL`
        self._seconds: dict[str, float] = {}

    def request_key_frame(self) -> None:
        """Make the next frame a key frame; callable from any thread."""
        self._continuity.key_frame_requested.set()

    def request_reset(self) -> None:
        """Forget the stream before the next frame; callable from any thread."""
        self._continuity.reset_requested.set()

    def network_size(self, camera: tuple[int, int]) -> tuple[int, int]:
        """Return height and width that a camera's images are brought to."""
        return self.preprocess.size(camera)

    def warm_up(self, size: tuple[int, int]) -> None:
        """Run a few plain frames of a height and width: the first image shall not pay for first calls.

        Both tracks compute, and each compiles what it runs.
        """
        for index in range(WARM_UP_STEPS):
            if index == 1:
                self.request_key_frame()
            grey = 40 * index  # none is still
            self.step(Frame(np.full((*size, 3), grey, np.uint8), index, index), confidence=True)
        self.parts.track.finish()
        while self.parts.track.busy:
            self.parts.track.collect()
        self._continuity.key_frame_requested.clear()
        self.late_results_dropped = 0
        self._forget()

    @torch.inference_mode()
    def step(self, frame: Frame, *, confidence: bool = False) -> FrameResult:
        """Segment one frame.

        Args:
            frame: The camera image; not modified, not kept.
            confidence: Also compute the confidence map.

        Raises:
            VssError: The network gave values that are not finite. After any error the stream is
                reset, so that the next frame starts afresh.
        """
        try:
            return self._step(frame, confidence)
        except BaseException:
            self._forget()
            self._continuity.reset_requested.set()
            raise

    def close(self, wait_s: float | None = None) -> None:
        """End the background thread, if any; wait for it, at most ``wait_s``."""
        self.parts.track.close(wait_s)

    def _step(self, frame: Frame, confidence: bool) -> FrameResult:
        track = self.parts.track
        self._seconds = {}
        fresh_start, requested = self._continuity.follow(frame)
        if fresh_start is not None:
            self._forget_scene()
        fresh_start = fresh_start or (Reason.REQUESTED if requested else None)
        with self._timed('preprocess'):
            view = self._view(frame)
        if self.parts.propagation is None:
            verdict = Verdict(True, fresh_start or Reason.EVERY_FRAME)
            with self._timed('high'):
                logits = self.network.logits(self.network.compute(self.network.entry(view)))
            return self._answer(frame, verdict, AnsweredBy.FULL, logits, None, confidence)

        with self._timed('low' if self.network.needs_low else 'propagation'):
            view, prepared, compared = self.network.look(view)
            if fresh_start is None and self._is_still(compared, confidence):
                return self._again(frame)
        with self._timed('motion'):
            view = self._trail.follow(view)
        self._collect()  # as late as possible: features that arrive now serve this frame
        with self._timed('scheduler'):
            verdict = self._judge(fresh_start, compared, view)
        key = self._cache.key
        answered_by, high, logits = self._features(verdict, key, prepared, view)
        if verdict.is_key_frame:
            age = 1 if key is None else key.propagated + self._distance
            self._distance = 0
            self._trail.mark_key_frame()
            key = self._cache.store(
                stamp_ns=frame.stamp_ns,
                propagation=prepared,
                scheduler=compared,
                high=high,
                propagated=0 if answered_by is AnsweredBy.FULL else age,
            )
        result = self._answer(frame, verdict, answered_by, logits, key, confidence)
        self._computed = (compared, result)
        if answered_by is AnsweredBy.FAST and key is not None and track.withdraw():
            # Only now: while both tracks compute, each takes nearly twice as long where two cores share one
            # core's units, and this frame is waited for.
            self._submitted = key.number
            track.submit(key.number, self.network.entry(view))
        return result

    def _view(self, frame: Frame) -> View:
        camera = (frame.image.shape[0], frame.image.shape[1])
        return View(self.preprocess(frame.image)[None], self.preprocess, codec=frame.codec, camera=camera)

    def _features(
        self, verdict: Verdict, key: KeyFrame | None, prepared: Tensor, view: View
    ) -> tuple[AnsweredBy, Tensor, Tensor]:
        """Return who answers, F_h (or logits) and logits."""
        background = self.parts.track.background
        if key is not None and (background or not verdict.is_key_frame):
            with self._timed('propagation'):
                high, logits = self._propagate(key, prepared, view)
            return AnsweredBy.FAST if verdict.is_key_frame else AnsweredBy.PROPAGATED, high, logits
        glances = background and self.network.glances
        with self._timed('high'):
            high = self.network.glance(view) if glances else self.network.compute(self.network.entry(view))
        with self._timed('head'):
            logits = self.network.logits(high)
        return AnsweredBy.FAST if glances else AnsweredBy.FULL, high, logits

    def _propagate(self, key: KeyFrame, prepared: Tensor, view: View) -> tuple[Tensor, Tensor]:
        """Propagate from the previous frame or, once its features have come, from the key frame."""
        propagation = self.parts.propagation
        assert propagation is not None  # else the whole network runs on every frame
        source = self._cache.last
        if source is None:
            source = Source(key.for_propagation, key.high)
            if propagation.motion:
                view = view.replace(motion=view.since_key)
        high, logits = self.network.propagate(*source, prepared, view)
        if propagation.frame_by_frame:
            self._cache.advance(prepared, high)
        return high, logits

    def _collect(self) -> None:
        """Let the slow track's result, if one has come, replace the cached features."""
        result = self.parts.track.collect()
        if result is None:
            return
        error = result.error
        if result.high is not None and not _finite(result.high):
            error = _not_finite()
        if error is not None or result.high is None:
            self.slow_track_errors += 1
            if self._on_slow_track_error is not None:
                self._on_slow_track_error(error or RuntimeError('the slow track returned nothing'))
        elif not self._cache.make_accurate(result.number, result.high):
            self.late_results_dropped += 1

    def _is_still(self, compared: Tensor | None, confidence: bool) -> bool:
        """Tell whether the last answer holds: the image is the same, and nothing better is to come."""
        key, computed, scheduler = self._cache.key, self._computed, self.parts.scheduler
        if key is None or computed is None or not (scheduler.rests and key.accurate):
            return False
        if confidence and computed[1].confidence is None:
            return False
        return scheduler.is_still(computed[0], compared)

    def _again(self, frame: Frame) -> FrameResult:
        """Return the last answer for a frame that shows the same: nothing is propagated any further."""
        assert self._computed is not None
        last = self._computed[1]
        decision = replace(
            last.decision, frame_index=frame.index, is_key_frame=False, reason=Reason.STILL,
            predicted_deviation=0.0,
        )  # fmt: skip
        return replace(
            last, frame_index=frame.index, stamp_ns=frame.stamp_ns, decision=decision,
            track=AnsweredBy.PROPAGATED, seconds=self._seconds,
        )  # fmt: skip

    def _forget(self) -> None:
        self._continuity.forget()
        self._forget_scene()

    def _forget_scene(self) -> None:
        self._cache.reset()
        self._trail.reset()
        self._computed = None
        self._distance = 0

    def _judge(self, fresh_start: Reason | None, compared: Tensor | None, view: View) -> Verdict:
        """Return the scheduler's verdict, or that of a rule that comes before it."""
        key = self._cache.key
        if key is None:
            return Verdict(True, fresh_start or Reason.FIRST)
        if fresh_start is None and self.parts.scheduler.is_another_scene(key.for_scheduler, compared, view):
            self._cache.reset()
            self._distance = 0
            return Verdict(True, Reason.SCENE_CHANGE)
        self._distance += 1
        score = self.network.score(key.for_scheduler, compared, view)
        verdict = self.parts.scheduler.judge(self._distance, score, view)
        if fresh_start is not None:
            verdict = Verdict(True, fresh_start, verdict.score, verdict.threshold)
        track = self.parts.track
        if key.number > self._submitted and not (key.accurate or track.busy or verdict.is_key_frame):
            verdict = Verdict(True, Reason.INACCURATE, verdict.score, verdict.threshold)
        # What still waits for its turn is replaced by what is newer, unless that would correct corrections.
        frame_by_frame = self.parts.propagation is not None and self.parts.propagation.frame_by_frame
        if verdict.is_key_frame and not (track.withdraw() if frame_by_frame else not track.busy):
            # One slow computation at a time: a newer one in its place would keep the features from ever
            # becoming accurate while the scene changes fast.
            if verdict.reason is Reason.REQUESTED:
                self._continuity.key_frame_requested.set()
            verdict = Verdict(False, Reason.BUSY, verdict.score, verdict.threshold)
        return verdict

    def _answer(
        self,
        frame: Frame,
        verdict: Verdict,
        answered_by: AnsweredBy,
        logits: Tensor,
        key: KeyFrame | None,
        confidence: bool,
    ) -> FrameResult:
        camera = (frame.image.shape[0], frame.image.shape[1])
        size = label_size(camera, self.network_size(camera))
        if not _finite(logits):
            raise _not_finite()
        with self._timed('labels'):
            labels = argmax_upsampled(logits, size)
        age = self._distance + (0 if key is None else key.propagated)
        sure = None
        if confidence or self.confidence.least:
            with self._timed('confidence'):
                sure = self.confidence.of(logits, size, age)
                self.confidence.hide(labels, sure)
        decision = Decision(
            frame_index=frame.index,
            is_key_frame=verdict.is_key_frame,
            reason=verdict.reason,
            predicted_deviation=verdict.score,
            threshold=verdict.threshold,
            key_frame_stamp_ns=frame.stamp_ns if key is None else key.stamp_ns,
            frames_since_key=self._distance,
        )
        accurate = key is None or key.accurate
        return FrameResult(
            frame.index, frame.stamp_ns, camera, labels, sure, decision, answered_by, accurate, age,
            self._seconds,
        )  # fmt: skip

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        start = perf_counter()
        yield
        self._seconds[part] = self._seconds.get(part, 0.0) + perf_counter() - start


def _finite(values: Tensor) -> bool:
    """Return whether all values are finite: one that is not makes the sum so, which is cheaper to check."""
    return bool(torch.isfinite(values.sum()))


def _not_finite() -> VssError:
    fault = 'expected finite features, got NaN or infinity from the network'
    return VssError(f'{fault}; check the weights with: vss models verify')
