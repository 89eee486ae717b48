"""Accuracy over propagation distance of one input, at the same frames for each distance."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from vss_ros.engine.labels import argmax_upsampled, label_size, resize_labels
from vss_ros.engine.motion.trail import MotionTrail
from vss_ros.engine.preprocess import Normalisation, Preprocessor, checked_size
from vss_ros.engine.view import View
from vss_ros.engine.whole_network import WholeNetwork
from vss_ros.evaluation.replay.propagation import propagated
from vss_ros.evaluation.sweep.configuration import PDA_DISTANCES

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.engine.build import Built
    from vss_ros.engine.frames import Frame
    from vss_ros.evaluation.metrics.distance import DistanceAccuracy

FURTHEST = max(PDA_DISTANCES)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One frame of the window."""

    view: View
    truth: NDArray[np.uint8] | None
    camera: tuple[int, int]
    """Height and width of the image."""
    counted: bool
    """Whether the stream is old enough for every distance to reach this frame."""


class PropagationAccuracy:
    """The PDA curve of the distortion-aware paper (section IV-B), measured beside the replay.

    Each labelled frame with ``FURTHEST`` frames before it is reached from each of these as a key frame, as on
    the robot: in one hop, or frame by frame where the propagation goes so. Only a window of frames is held.

    Args:
        built: The segmenter; where it has no propagation, distance 0 is all there is.
        size: Network input that was asked for, None for the card's.
        accuracy: What the scores are added to.

    """

    def __init__(self, built: Built, size: tuple[int, int] | None, accuracy: DistanceAccuracy) -> None:
        """Start without a frame."""
        self._parts, card = built.segmenter.parts, built.card
        backbone = self._parts.backbone
        self._network = WholeNetwork(backbone, self._parts.propagation, self._parts.scheduler)
        statistics = Normalisation(card.mean, card.std)  # type: ignore[arg-type]
        size = checked_size(size, backbone.size_multiple, backbone.fixed_size)
        self._preprocess = Preprocessor(statistics, card.input_size, backbone.size_step, built.device, size)
        self._trail = MotionTrail(self._parts.motion)
        self._window: deque[_Seen] = deque()
        self._position = 0
        self._accuracy = accuracy

    @torch.inference_mode()
    def run(self, frames: Iterable[tuple[Frame, NDArray[np.uint8] | None, bool]]) -> None:
        """Go through an input.

        Args:
            frames: Each frame with its truth, None where it has none, and whether a stream begins there.

        """
        for frame, truth, begins in frames:
            if begins:
                self._end_stream()
            camera = (frame.image.shape[0], frame.image.shape[1])
            counted = self._position >= FURTHEST
            self._window.append(_Seen(self._look(frame, camera), truth, camera, counted))
            self._position += 1
            if len(self._window) > FURTHEST:
                self._score()
        self._end_stream()

    def _end_stream(self) -> None:
        while self._window:
            self._score()
        self._trail.reset()
        self._position = 0

    def _look(self, frame: Frame, camera: tuple[int, int]) -> View:
        """Return the frame's view in memory of its own."""
        image = self._preprocess(frame.image).clone(memory_format=torch.preserve_format)
        pixels = self._preprocess.pixels.copy()[None]
        low = self._parts.backbone.low(image)
        return self._trail.follow(View(pixels, image, low, codec=frame.codec, camera=camera))

    def _score(self) -> None:
        """Propagate from the window's first frame to the labelled ones after it, and drop it."""
        seen = list(self._window)
        self._window.popleft()
        reach = FURTHEST if self._parts.propagation is not None else 0
        wanted = [d for d, entry in enumerate(seen[: reach + 1]) if entry.truth is not None and entry.counted]
        if not wanted:
            return
        views = [entry.view for entry in seen[: max(wanted) + 1]]
        high = self._network.compute(self._network.entry(views[0]))
        if self._parts.propagation is None:
            self._add(seen[0], 0, high)
            return
        for distance, _, answer in propagated(self._parts.propagation, views, high, wanted):
            self._add(seen[distance], distance, answer)

    def _add(self, entry: _Seen, distance: int, answer: torch.Tensor) -> None:
        """Score logits or features as the engine's own answers are scored."""
        labels = argmax_upsampled(
            self._network.logits(answer), label_size(entry.camera, self._preprocess.size(entry.camera))
        )
        if entry.truth is not None:
            size = (entry.truth.shape[0], entry.truth.shape[1])
            self._accuracy.add(distance, entry.truth, resize_labels(labels, size))
