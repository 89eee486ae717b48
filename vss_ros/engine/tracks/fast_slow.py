"""The fast/slow track: true features come from the background, for one stream or for several in turn."""

from __future__ import annotations

import os
import threading
from time import monotonic, sleep
from typing import TYPE_CHECKING

import torch

from vss_ros.engine.tracks.base import SlowResult, Track
from vss_ros.engine.tracks.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

SLOW_TRACK_NICENESS = 5
"""Added to the slow track's own thread: where cores are short, the frame in hand goes first."""
HANG_S = 10.0
"""Seconds after which a computation hangs, if it is no slower than its predecessors: see ``SlowThread``."""
MOST_HUNG = 3
"""Threads that may hang until no other is started."""


class SlowThread:
    """One background thread that computes true features, for one track or for several in turn.

    Of the tracks that wait the one is next that was served longest ago, so that no two computations meet and
    no stream starves. A computation that takes over ``HANG_S``, and 20 times as long as any before, hangs:
    that is an error, and another thread takes its place. The first may take longer, since it compiles.

    Args:
        compute: From what the pipeline submits to F_h or logits.
        duty: Share of the time, over 0 and at most 1, that it may compute where it serves several.
    """

    def __init__(self, compute: Callable[[Tensor], Tensor], duty: float) -> None:
        self.compute, self._duty = compute, duty
        self.tracks: set[FastSlow] = set()
        self.longest = 0.0
        """Seconds."""
        self._lock = threading.Lock()
        self._waiting: dict[FastSlow, tuple[int, Tensor]] = {}
        self._serving: tuple[FastSlow, int] | None = None
        self._since = 0.0
        self._closed = threading.Event()
        self.hung: list[Worker[bool]] = []
        self._start()

    def _start(self) -> None:
        worker: Worker[bool] = Worker(lambda _: self._serve(worker), lambda *_: None, 'slow_track')
        self._worker = worker

    def submit(self, track: FastSlow, number: int, entry: Tensor) -> None:
        """Let a track's key frame wait for its turn."""
        with self._lock:
            self._waiting[track] = number, entry
        self._worker.offer(True)

    def withdraw(self, track: FastSlow) -> bool:
        """Take back what a track submitted, if that still waits; return whether it did."""
        with self._lock:
            return self._waiting.pop(track, None) is not None

    def serves(self, track: FastSlow) -> bool:
        """Tell whether this track's key frame is being computed."""
        serving = self._serving
        return serving is not None and serving[0] is track

    @property
    def hangs(self) -> bool:
        """Whether the computation under way takes too long."""
        patience = max(HANG_S, 20 * self.longest) if self.longest else 6 * HANG_S
        return self._serving is not None and monotonic() - self._since > patience

    def give_up(self) -> None:
        """Leave the thread that hangs to itself; a new one computes the next key frame."""
        with self._lock:
            if not self.hangs or self._serving is None:
                return
            (track, number), seconds = self._serving, monotonic() - self._since
            error = TimeoutError(f'no features after {seconds:.0f} s; another thread takes over')
            self.hung = [worker for worker in self.hung if worker.alive]
            self._since = monotonic()
            if len(self.hung) < MOST_HUNG:
                self._serving = None
                self.hung.append(self._worker)
                self._worker.stop(wait_s=0)
                self._start()
                self._worker.offer(True)
            else:
                error = TimeoutError(f'{MOST_HUNG + 1} threads hang; restart the node')
        track.result = SlowResult(number, None, error)

    def close(self, track: FastSlow, wait_s: float) -> None:
        """Forget a track; with the last one the thread ends, after the computation under way."""
        self.withdraw(track)
        self.tracks.discard(track)
        if not self.tracks:
            self._closed.set()
            self._worker.stop(wait_s)

    def _serve(self, worker: Worker[bool]) -> None:
        be_nice()
        while (taken := self._take(worker)) is not None:
            track, number, entry = taken
            try:
                with torch.inference_mode():
                    result = SlowResult(number, self.compute(entry))
            except Exception as error:  # noqa: BLE001 (a result like others: the stream says it and goes on)
                result = SlowResult(number, None, error)
            rests_s = self._put(worker, track, result)
            if len(self.tracks) > 1:  # one alone knows by itself when it may submit again
                self._closed.wait(rests_s)

    def _take(self, worker: Worker[bool]) -> tuple[FastSlow, int, Tensor] | None:
        with self._lock:
            if not self._waiting or worker is not self._worker:
                return None
            track = min(self._waiting, key=lambda waiting: waiting.served_at)
            number, entry = self._waiting.pop(track)
            self._serving, self._since = (track, number), monotonic()
            return track, number, entry

    def _put(self, worker: Worker[bool], track: FastSlow, result: SlowResult) -> float:
        """Hand out a result; return for how many seconds the thread is to rest."""
        with self._lock:
            if worker is not self._worker:  # it was given up, and its result comes too late
                return 0.0
            now = monotonic()
            took = now - self._since
            self.longest = max(self.longest, took)
            self._serving = None
            track.take(result, self._since, took)
            return took / self._duty - took


class FastSlow(Track):
    """The fast/slow track: a background thread computes true features (low-latency paper, section 3.4).

    Args:
        compute: From what the pipeline submits to F_h or logits.
        duty: Share of the time, over 0 and at most 1, that may be computed: it rests after each result.
        thread: Of another stream's track, which serves this one, too; None: one of its own.
    """

    name = 'fast_slow'
    background = True

    def __init__(
        self, compute: Callable[[Tensor], Tensor], duty: float = 1.0, thread: SlowThread | None = None
    ) -> None:
        self.thread = thread or SlowThread(compute, duty)
        self.thread.tracks.add(self)
        self.result: SlowResult | None = None
        """What is to be collected."""
        self.served_at = self._rests_until = 0.0
        self._duty, self._busy = duty, False

    def another(self, duty: float) -> FastSlow:
        """Return the track of another stream, which takes turns with this one."""
        return FastSlow(self.thread.compute, duty, self.thread)

    @property
    def busy(self) -> bool:
        """True from ``submit`` until the result was collected and the rest after it is over."""
        return self._busy or monotonic() < self._rests_until

    def submit(self, number: int, entry: Tensor) -> None:
        """Hand the key frame to the background thread and return at once."""
        self._busy = True
        self.thread.submit(self, number, entry)

    def withdraw(self) -> bool:
        """Take back a key frame that waits; see :class:`Track`."""
        if self._busy and self.thread.withdraw(self):
            self._busy = False
        return not self.busy

    def take(self, result: SlowResult, since: float, took: float) -> None:
        """Let a result be collected; it was computed from ``since`` on, in ``took`` seconds."""
        self.served_at, self._rests_until = since, since + took / self._duty
        self.result = result

    def collect(self) -> SlowResult | None:
        """Return the finished result, if any; never waits for the computation."""
        if self.result is None and self.thread.hangs:
            self.thread.give_up()
        result, self.result = self.result, None  # at most one is under way: no other thread sets it now
        if result is not None:
            self._busy = self.thread.serves(self)
        return result

    def finish(self) -> None:
        """Wait for the computation under way, if any."""
        while self._busy and self.result is None and not self.thread.hangs:
            sleep(0.001)

    def close(self, wait_s: float | None = None) -> None:
        """Let the computation under way finish, unless it hangs or takes over ``wait_s``; end the thread."""
        self.thread.close(self, HANG_S if wait_s is None else wait_s)


def be_nice() -> None:
    """Lower this thread's priority where the system gives threads their own (Linux)."""
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), SLOW_TRACK_NICENESS)
    except (AttributeError, OSError):
        return
