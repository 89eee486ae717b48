"""Who computes a key frame's high features: the frame itself, or a slow track in the background."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TYPE_CHECKING

import torch

from vss_ros.engine.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

SLOW_TRACK_NICENESS = 5
"""Added to the slow track's own thread: where cores are short, the frame in hand goes first."""
HANG_S = 10.0
"""Seconds after which a computation hangs, if it is no slower than its predecessors: see ``FastSlow``."""
MOST_HUNG = 3
"""Threads that may hang until no other is started."""


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


class FastSlow(Track):
    """The fast/slow track: one background thread computes true features (low-latency paper, section 3.4).

    A computation that takes over ``HANG_S``, and 20 times as long as any before, hangs: that is an error, and
    another thread takes its place. The first may take longer, since it compiles.

    Args:
        compute: From what the pipeline submits to F_h or logits.
        duty: Share of the time, over 0 and at most 1, that it may compute: it rests after each result.
    """

    name = 'fast_slow'
    background = True

    def __init__(self, compute: Callable[[Tensor], Tensor], duty: float = 1.0) -> None:
        self._compute, self._duty = compute, duty
        self._rests_until = 0.0
        self._result: SlowResult | None = None
        self._busy = False
        self._number, self._since, self._longest = 0, 0.0, 0.0
        self._hung: list[Worker[tuple[int, Tensor]]] = []
        self._start()

    def _start(self) -> None:
        worker: Worker[tuple[int, Tensor]] = Worker(
            lambda job: self._run(worker, job),
            lambda job, error: self._put(worker, SlowResult(job[0], None, error)),
            'slow_track',
        )
        self._worker = worker

    @property
    def busy(self) -> bool:
        """True from ``submit`` until the result was collected and the rest after it is over."""
        return self._busy or monotonic() < self._rests_until

    def submit(self, number: int, entry: Tensor) -> None:
        """Hand the key frame to the background thread and return at once."""
        self._busy, self._number, self._since = True, number, monotonic()
        self._worker.offer((number, entry))

    def collect(self) -> SlowResult | None:
        """Return the finished result, if any; never waits for the computation."""
        result = self._result  # at most one job is under way, so that no other thread changes it now
        if result is not None:
            self._result = None
            self._busy = False
        elif self._hangs:
            result = self._give_up()
        return result

    @property
    def _hangs(self) -> bool:
        patience = max(HANG_S, 20 * self._longest) if self._longest else 6 * HANG_S
        return self._busy and monotonic() - self._since > patience

    def _give_up(self) -> SlowResult:
        """Leave the thread that hangs to itself; a new one computes the next key frame."""
        error = TimeoutError(
            f'no features after {monotonic() - self._since:.0f} s; another thread takes over'
        )
        self._hung = [worker for worker in self._hung if worker.alive]
        self._since = monotonic()
        if len(self._hung) < MOST_HUNG:
            self._hung.append(self._worker)
            self._worker.stop(wait_s=0)
            self._start()
            self._busy = False
        else:
            error = TimeoutError(f'{MOST_HUNG + 1} threads hang; restart the node')
        return SlowResult(self._number, None, error)

    def finish(self) -> None:
        """Wait for the computation under way, if any."""
        while self._busy and self._result is None and not self._hangs:
            sleep(0.001)

    def close(self, wait_s: float | None = None) -> None:
        """Let the computation under way finish, unless it hangs or takes over ``wait_s``; end the thread."""
        self._worker.stop(wait_s=HANG_S if wait_s is None else wait_s)

    def _run(self, worker: Worker[tuple[int, Tensor]], job: tuple[int, Tensor]) -> None:
        _be_nice()
        with torch.inference_mode():
            high = self._compute(job[1])
        self._put(worker, SlowResult(job[0], high))

    def _put(self, worker: Worker[tuple[int, Tensor]], result: SlowResult) -> None:
        if worker is self._worker:  # else it was given up, and its result comes too late
            took = monotonic() - self._since
            self._longest = max(self._longest, took)
            self._rests_until = self._since + took / self._duty
            self._result = result


def _be_nice() -> None:
    """Lower this thread's priority where the system gives threads their own (Linux)."""
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), SLOW_TRACK_NICENESS)
    except (AttributeError, OSError):
        return
