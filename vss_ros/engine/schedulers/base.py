"""What every scheduler offers: a score, a threshold and bounds on the interval."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import isnan, nan

from torch import Tensor, nn

from vss_ros.engine.frames import Reason
from vss_ros.engine.registry import Registry
from vss_ros.errors import VssError


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a scheduler says of one frame."""

    is_key_frame: bool
    reason: Reason
    score: float = nan
    threshold: float = nan


class Scheduler(nn.Module, ABC):
    """Decides which frames are key frames.

    Args:
        low_channels: Channels of F_l.
        threshold: Score above which a frame becomes a key frame.
        min_interval: Fewest frames from one key frame to the next.
        max_interval: Most frames from one key frame to the next.

    Raises:
        VssError: Intervals that exclude each other.

    """

    default_threshold: float = nan
    default_max_interval: int = 30

    def __init__(
        self, low_channels: int, *, threshold: float = nan, min_interval: int = 1, max_interval: int = 0
    ) -> None:
        """Keep the settings; NaN and 0 stand for the scheduler's own defaults."""
        super().__init__()
        self.low_channels = low_channels
        self.threshold = self.default_threshold if isnan(threshold) else threshold
        self.min_interval = min_interval
        self.max_interval = max_interval or self.default_max_interval
        if not 1 <= self.min_interval <= self.max_interval:
            msg = f'expected 1 <= min_interval <= max_interval, got {self.min_interval} and {self.max_interval}'
            raise VssError(msg)

    def prepare(self, low: Tensor) -> Tensor | None:  # noqa: ARG002 (most schedulers look at no features)
        """Return what later frames need of a frame's F_l; computed once a frame and cached with a key frame."""
        return None

    @abstractmethod
    def score(self, key: Tensor | None, current: Tensor | None) -> float:
        """Return how much the current frame differs from the key frame, NaN where that is not looked at."""

    def decide(self, distance: int, key: Tensor | None, current: Tensor | None) -> Verdict:
        """Judge a frame ``distance`` frames after the last key frame.

        Args:
            distance: 1 for the frame after the key frame.
            key: ``prepare()`` of the key frame.
            current: ``prepare()`` of this frame.

        """
        score = self.score(key, current)
        if distance < self.min_interval:
            return Verdict(False, Reason.INTERVAL, score, self.threshold)
        if distance >= self.max_interval:
            return Verdict(True, Reason.INTERVAL, score, self.threshold)
        if isnan(score):
            return Verdict(False, Reason.INTERVAL)
        return Verdict(score > self.threshold, Reason.DEVIATION, score, self.threshold)


SCHEDULERS: Registry[Scheduler] = Registry('scheduler')
