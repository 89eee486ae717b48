"""Who computes a key frame's high features: the frame itself, or a slow track in the background."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


@dataclass(frozen=True, slots=True)
class SlowResult:
    """True features of the key frame with the given number, or the error that prevented them."""

    number: int
    high: Tensor | None
    error: BaseException | None = None


class Track(ABC):
    """Computes F_h of key frames."""

    name: str
    background: bool
    """True where a key frame is answered by propagation first."""

    @property
    def busy(self) -> bool:
        """A slow computation is under way, so that no other can start."""
        return False

    def submit(self, number: int, entry: Tensor) -> None:
        """Start computing the features of key frame ``number``; at most one at a time."""
        raise NotImplementedError

    def withdraw(self) -> bool:
        """Take back a key frame that still waits for its turn; return whether another can be submitted."""
        return not self.busy

    def another(self, duty: float) -> Track:  # noqa: ARG002 (most are never busy)
        """Return the track of another stream of the same network; ``duty`` is that stream's."""
        return self

    @abstractmethod
    def collect(self) -> SlowResult | None:
        """Return a finished result once, None where there is none; called once before each frame."""

    def finish(self) -> None:  # noqa: B027 (most tracks have no thread)
        """Wait until nothing is computed in the background any more; the result stays to be collected."""

    def close(self, wait_s: float | None = None) -> None:  # noqa: B027
        """Stop the background thread; returns when it has ended, or after ``wait_s``."""


class Blocking(Track):
    """The frame waits for the whole network."""

    name = 'blocking'
    background = False

    def collect(self) -> None:
        """Return None: nothing runs in the background."""


class SimulatedFastSlow(Track):
    """The fast/slow track for offline evaluation: the result arrives a stated number of frames later.

    Deterministic: what a frame sees depends on the frames alone, not on the machine.

    Args:
        compute: From what the pipeline submits (F_l or the image) to F_h or logits.
        delay: Frames from the key frame to the first that sees its true features, 1 or more.
    """

    name = 'fast_slow'
    background = True

    def __init__(self, compute: Callable[[Tensor], Tensor], delay: int) -> None:
        self._compute = compute
        self._delay = delay
        self._pending: tuple[int, Tensor] | None = None
        self._left = 0

    def another(self, duty: float) -> SimulatedFastSlow:  # noqa: ARG002 (the time is not the machine's)
        """Return the track of another stream."""
        return SimulatedFastSlow(self._compute, self._delay)

    @property
    def busy(self) -> bool:
        """A result is on its way."""
        return self._pending is not None

    def submit(self, number: int, entry: Tensor) -> None:
        """Remember the key frame; it is computed when it is due, outside any measured part."""
        self._pending = (number, entry)
        self._left = self._delay

    def collect(self) -> SlowResult | None:
        """Count one frame; return the result when it is due."""
        if self._pending is None:
            return None
        self._left -= 1
        if self._left > 0:
            return None
        (number, entry), self._pending = self._pending, None
        return SlowResult(number, self._compute(entry))
