"""How the streams of several cameras share what computes: one after the other, each its part of the time."""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic, sleep
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

LATELY_S = 2.0
"""Seconds after its last work for which a stream counts when shares are equal."""
BURST_S = 0.1
"""Seconds by which a stream may be ahead of its share: images do not come evenly."""


class Turns:
    """Lets in one thread at a time, in the order in which they came; to be used by ``with``.

    A plain lock may go back to the thread that has just released it: a camera that floods would keep it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._taken = False

    def __enter__(self) -> Self:
        with self._lock:
            if not self._taken:
                self._taken = True
                return self
            gate = threading.Lock()
            gate.acquire()
            self._waiting.append(gate)
        gate.acquire()  # until the one before hands its turn on
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


class Share:
    """Keeps a stream's work to a share of the time.

    Args:
        share: Over 0 and at most 1; 0: an equal one of all that have worked lately.
        peers: The shares of all streams, to which this one is added.
    """

    def __init__(self, share: float, peers: list[Share]) -> None:
        self._share, self._peers = share, peers
        self._worked_at = self._paid_until = 0.0
        peers.append(self)

    def rest(self, worked_s: float) -> None:
        """Sleep for as long as the work that has just ended, and that before, is ahead of the share."""
        now = self._worked_at = monotonic()
        share = self._share or 1 / sum(now - peer._worked_at < LATELY_S for peer in self._peers)
        cost = min(worked_s, BURST_S) / share  # what happens once, such as compiling, is not paid for
        self._paid_until = max(self._paid_until, now - worked_s) + cost
        ahead = self._paid_until - now - BURST_S
        if ahead > 0:
            sleep(ahead)
