"""What every scheduler offers: a score, a threshold and bounds on the interval."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, nan
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from vss_ros.engine.frames import Reason
from vss_ros.engine.registry import Registry
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from vss_ros.engine.pair_batch import PairBatch
    from vss_ros.engine.view import View


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a scheduler says of one frame."""

    is_key_frame: bool
    reason: Reason
    score: float = nan
    threshold: float = nan


class Scheduler(nn.Module):
    """Decides which frames are key frames.

    Args:
        low_channels: Channels of F_l.
        threshold: Score above which a frame becomes a key frame.
        min_interval: Fewest frames from one key frame to the next.
        max_interval: Most frames from one key frame to the next.

    Raises:
        VssError: Intervals that exclude each other.
    """

    needs_low: ClassVar[bool] = False
    """Whether ``view.low`` is read; if no part reads it, it is computed for key frames only."""
    needs_motion: ClassVar[bool] = False
    """Whether ``view.since_key`` is read."""
    trainable: ClassVar[bool] = False
    """Whether it has weights of its own, which ``training_loss`` trains."""
    weights_of: ClassVar[str] = ''
    """Scheduler whose trained weights this one uses, empty for its own."""
    rests: ClassVar[bool] = False
    """Whether a frame that ``is_still`` gets the last answer, without a look at motion or any network."""
    default_threshold: float = nan
    default_max_interval: int = 30

    def __init__(
        self, low_channels: int, *, threshold: float = nan, min_interval: int = 1, max_interval: int = 0
    ) -> None:
        super().__init__()
        self.min_interval, self.max_interval = 1, self.default_max_interval
        self.low_channels = low_channels
        self.adjust(threshold=threshold, min_interval=min_interval, interval=max_interval)

    def adjust(
        self, *, threshold: float | None = None, min_interval: int | None = None, interval: int | None = None
    ) -> None:
        """Change settings, also while frames are being judged; None leaves a setting as it is.

        Args:
            threshold: NaN or 0 for the scheduler's own.
            min_interval: Fewest frames from one key frame to the next.
            interval: Most frames from one key frame to the next, 0 for the scheduler's own.

        Raises:
            VssError: Intervals that exclude each other; nothing is changed then.
        """
        least = self.min_interval if min_interval is None else min_interval
        most = self.max_interval if interval is None else interval or self.default_max_interval
        if not 1 <= least <= most:
            raise VssError(f'expected 1 <= min_interval <= interval, got {least} and {most}')
        self.min_interval, self.max_interval = least, most
        if threshold is not None:
            self.threshold = float(threshold) if threshold > 0 else self.default_threshold

    def prepare(self, view: View) -> Tensor | None:  # noqa: ARG002 (some look at nothing)
        """Return what later frames need of a frame, in a tensor of its own; cached with a key frame."""
        return None

    def measure(self, key: Tensor | None, current: Tensor | None, view: View) -> Tensor | None:  # noqa: ARG002
        """Return how much the current frame, ``view``, differs from the key frame, by their ``prepare()``.

        A scalar, None where that is not looked at. With ``needs_low`` it is compiled: tensors only.
        """
        return None

    def score(self, key: Tensor | None, current: Tensor | None, view: View) -> float:
        """Return ``measure`` as a number, NaN where nothing is looked at."""
        measured = self.measure(key, current, view)
        return nan if measured is None else float(measured.detach())

    def is_still(self, last: Tensor | None, current: Tensor | None) -> bool:  # noqa: ARG002
        """Tell whether the image is the last computed frame's, by their ``prepare()``; see ``rests``."""
        return False

    def is_another_scene(self, key: Tensor | None, current: Tensor | None, view: View) -> bool:  # noqa: ARG002
        """Tell whether nothing of the key frame is in the current one; arguments as ``measure``."""
        return False

    def weight(self, distance: int) -> float:  # noqa: ARG002 (to most all frames are alike)
        """Return how much a score counts ``distance`` frames after the key frame."""
        return 1.0

    def decide(self, distance: int, key: Tensor | None, current: Tensor | None, view: View) -> Verdict:
        """Judge a frame ``distance`` frames (1 or more) after the key frame; other arguments as ``score``."""
        return self.judge(distance, self.score(key, current, view), view)

    def judge(self, distance: int, score: float, view: View) -> Verdict:  # noqa: ARG002 (a codec's view)
        """Judge a frame by its score, ``distance`` frames (1 or more) after the key frame."""
        threshold = nan if isnan(score) else self.threshold / self.weight(distance)
        if distance < self.min_interval:
            return Verdict(False, Reason.INTERVAL, score, threshold)
        if distance >= self.max_interval or isnan(score):
            return Verdict(distance >= self.max_interval, Reason.INTERVAL, score, threshold)
        return Verdict(score > threshold, Reason.DEVIATION, score, threshold)

    def training_loss(self, batch: PairBatch) -> Tensor:
        """Return the loss on a batch, a scalar; to be overridden where ``trainable``."""
        raise NotImplementedError(f'{type(self).__name__} needs no training')


SCHEDULERS: Registry[Scheduler] = Registry('scheduler')
