"""Where a stream breaks off, so that nothing of before may serve what comes."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING

from vss_ros.engine.frames import Reason

if TYPE_CHECKING:
    from vss_ros.engine.frames import Frame


class Continuity:
    """Remembers the last frame's shape and stamp, and what was asked for from other threads.

    Args:
        max_gap_ns: A longer silence between two frames is a break; nanoseconds.
    """

    def __init__(self, max_gap_ns: int) -> None:
        self._max_gap_ns = max_gap_ns
        self._previous: tuple[tuple[int, ...], int] | None = None  # shape and stamp
        self.reset_requested, self.key_frame_requested = Event(), Event()

    def follow(self, frame: Frame) -> tuple[Reason | None, bool]:
        """Take the next frame; return why the stream breaks off before it (None: it does not).

        And whether a key frame was asked for.
        """
        previous, self._previous = self._previous, (frame.image.shape, frame.stamp_ns)
        requested = _take(self.key_frame_requested)
        if _take(self.reset_requested):
            return Reason.RESET, requested
        if previous is None:
            return Reason.FIRST, requested
        if previous[0] != frame.image.shape:
            return Reason.SIZE_CHANGE, requested
        if frame.stamp_ns < previous[1]:
            return Reason.TIME_JUMP, requested
        if frame.stamp_ns - max(previous[1], frame.follows_ns or previous[1]) > self._max_gap_ns:
            return Reason.GAP, requested
        return None, requested

    def forget(self) -> None:
        """Let the next frame be the first."""
        self._previous = None


def _take(event: Event) -> bool:
    was_set = event.is_set()
    if was_set:
        event.clear()
    return was_set
