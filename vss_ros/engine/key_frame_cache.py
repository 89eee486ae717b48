"""The one owner of key-frame features."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """What later frames need of a key frame."""

    number: int
    """Counts every key frame ever stored, across resets: the generation a late result must match."""
    stamp_ns: int
    propagation: Tensor
    """The propagation's ``prepare()`` of the key frame's F_l."""
    scheduler: Tensor | None
    """The scheduler's ``prepare()`` of the key frame's F_l."""
    high: Tensor
    """F_h, ``(1, high_channels, H, W)``."""
    propagated: int
    """Frames over which F_h had been propagated when this became a key frame; 0 once F_h is accurate."""

    @property
    def accurate(self) -> bool:
        """F_h comes from the whole network, not from the fast track."""
        return self.propagated == 0


class KeyFrameCache:
    """Holds the last key frame; only the thread that calls ``StreamSegmenter.step`` touches it."""

    def __init__(self) -> None:
        """Start empty."""
        self._key: KeyFrame | None = None
        self._number = 0

    @property
    def key(self) -> KeyFrame | None:
        """The last key frame, None after a reset."""
        return self._key

    def next_number(self) -> int:
        """Return the number the next stored key frame will have, to compute for it before it is stored."""
        return self._number + 1

    def store(
        self, *, stamp_ns: int, propagation: Tensor, scheduler: Tensor | None, high: Tensor, propagated: int
    ) -> KeyFrame:
        """Replace the key frame and return it with its new number; the fields are ``KeyFrame``'s."""
        self._number += 1
        self._key = KeyFrame(self._number, stamp_ns, propagation, scheduler, high, propagated)
        return self._key

    def make_accurate(self, number: int, high: Tensor) -> bool:
        """Put the slow track's true features in place of the fast track's.

        Returns:
            False where key frame ``number`` is no longer the one held: the late result is dropped.

        """
        if self._key is None or self._key.number != number:
            return False
        self._key = replace(self._key, high=high, propagated=0)
        return True

    def reset(self) -> None:
        """Forget the key frame; whatever is still being computed for it will be dropped."""
        self._key = None
        self._number += 1
