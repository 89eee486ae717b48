"""Owner of the last key frame's features, from which later frames are propagated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """What later frames need of a key frame."""

    number: int
    """Counts every key frame ever stored, across resets: the generation a late result must match."""
    stamp_ns: int
    for_propagation: Tensor
    """What the propagation's ``prepare()`` returned for the key frame."""
    for_scheduler: Tensor | None
    """What the scheduler's ``prepare()`` returned for the key frame."""
    high: Tensor
    """F_h, ``(1, high_channels, H, W)``, or the logits where those are propagated."""
    propagated: int
    """Frames over which F_h had been propagated when this became a key frame; 0 once F_h is accurate."""

    @property
    def accurate(self) -> bool:
        """F_h comes from the whole network, not from the fast track."""
        return self.propagated == 0


class Source(NamedTuple):
    """The frame that features are propagated from."""

    prepared: Tensor
    """The propagation's ``prepare()`` of that frame."""
    high: Tensor
    """F_h of that frame, or the logits where those are propagated."""


class KeyFrameCache:
    """Holds the last key frame, and for frame-by-frame propagation the last frame's features.

    Only the thread that calls ``StreamSegmenter.step`` touches it.
    """

    def __init__(self) -> None:
        self._key: KeyFrame | None = None
        self._last: Source | None = None
        self._number = 0

    @property
    def key(self) -> KeyFrame | None:
        """The last key frame, None after a reset."""
        return self._key

    @property
    def last(self) -> Source | None:
        """The last frame's propagated features.

        None where nothing was propagated frame by frame since the key frame's features came.
        """
        return self._last

    def store(
        self, *, stamp_ns: int, propagation: Tensor, scheduler: Tensor | None, high: Tensor, propagated: int
    ) -> KeyFrame:
        """Replace the key frame and return it with its new number; the fields are ``KeyFrame``'s."""
        self._number += 1
        self._last = None
        self._key = KeyFrame(self._number, stamp_ns, propagation, scheduler, high, propagated)
        return self._key

    def advance(self, prepared: Tensor, high: Tensor) -> None:
        """Keep what was propagated to the last frame as the next one's source."""
        self._last = Source(prepared, high)

    def make_accurate(self, number: int, high: Tensor) -> bool:
        """Put the slow track's true features in place of the fast track's.

        The next frame is propagated from the key frame again, over all the frames since.

        Returns:
            False where key frame ``number`` is no longer the one held: the late result is dropped.
        """
        if self._key is None or self._key.number != number:
            return False
        self._last = None
        self._key = replace(self._key, high=high, propagated=0)
        return True

    def reset(self) -> None:
        """Forget the key frame; a slow-track result that is still being computed for it will be dropped."""
        self._key = self._last = None
        self._number += 1
