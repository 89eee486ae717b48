"""Runs an evaluation's jobs on this machine: one after the other, or in a few worker processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter, deque
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from vss_ros.errors import VssError
from vss_ros.evaluation.replay.evaluate_bag import failure
from vss_ros.evaluation.replay.input_frames import Inputs
from vss_ros.evaluation.sweep.store import evaluate_stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vss_ros.evaluation.replay.result import Evaluated
    from vss_ros.evaluation.sweep.configuration import EvaluationConfig

PROGRAM = 'vss_ros.evaluation.sweep.pool'
ATTEMPTS = 2
"""Times that a job is tried whose worker dies."""
PATIENCE = 5.0
"""Seconds that a worker has for ending by itself."""


@dataclass(frozen=True)
class Job:
    """One input under one configuration."""

    path: str
    config: EvaluationConfig


def expected_frames(jobs: Sequence[Job], inputs: Inputs, workers: int = 1) -> dict[Job, int]:
    """Return the frames of each job, once for every pass over its input, so that a progress bar is right.

    Args:
        jobs: Those of one input beside each other.
        inputs: Opens each input, and keeps it open for what comes next.
        workers: Processes; without masks each asks the per-frame network for itself.

    Returns:
        0 where an input does not say how long it is, or does not open.
    """
    looked: dict[str, tuple[int, bool]] = {}
    asked: Counter[tuple[str, str]] = Counter()
    expected = {}
    for job in jobs:
        if job.path not in looked:
            looked[job.path] = _look(job, inputs)
        frames, is_labelled = looked[job.path]
        passes = job.config.passes
        if not is_labelled and not job.config.live:
            network = job.path, job.config.per_frame().digest()
            asked[network] += 1
            passes += asked[network] <= workers
        expected[job] = passes * frames
    return expected


def _look(job: Job, inputs: Inputs) -> tuple[int, bool]:
    """Return how many frames an input says it has and whether it has masks."""
    try:
        found = inputs.open(job.path, job.config)
    except (VssError, OSError):
        return 0, True
    return found.frame_count or 0, found.truth != 'per_frame'


def run_jobs(
    jobs: Sequence[Job],
    store: str | None,
    *,
    workers: int = 1,
    inputs: Inputs | None = None,
    on_frame: Callable[[Job], None] | None = None,
) -> Iterator[tuple[Job, Evaluated]]:
    """Yield each job with its result as it is done; results do not depend on the number of workers.

    Args:
        jobs: Those of one input beside each other: frames decoded for one serve the next.
        store: Folder of the results; None for none.
        workers: Processes; 1 runs everything in this one, where nothing disturbs the times.
        inputs: What this process has opened already. Others open theirs themselves.
        on_frame: Called in this process with the job for every frame that was computed.

    Raises:
        VssError: A segmenter cannot be built.
    """
    if workers <= 1:
        with nullcontext(inputs) if inputs is not None else Inputs() as opened:
            for job in jobs:
                count = None if on_frame is None else partial(on_frame, job)
                yield job, evaluate_stored(job.path, job.config, store, count, inputs=opened)
        return
    if inputs is not None:
        inputs.close()
    pool = _Pool(jobs, store, on_frame)
    try:
        yield from pool.run(min(workers, len(jobs)))
    finally:
        pool.close()


class _Worker:
    """A process, the connection to it and the job it has."""

    def __init__(self, store: str | None) -> None:
        self.connection, theirs = Pipe()
        # A program of its own: a fork would share PyTorch's threads, of which none lives in the child, and
        # multiprocessing's other ways import the main module again, and run what it does on import. In a
        # session of its own, because the parent deals with Ctrl-C.
        self.process = subprocess.Popen(
            [sys.executable, '-m', PROGRAM, str(theirs.fileno()), store or ''],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env=os.environ | {'PYTHONPATH': os.pathsep.join(path for path in sys.path if path)},
        )
        theirs.close()  # so that this end says when the worker's is gone
        self.started = False
        self.job: Job | None = None

    def take(self, job: Job) -> None:
        """Send a job; where the worker is dead, waiting on its connection notices it."""
        self.job = job
        with suppress(OSError):
            self.connection.send(job)

    def close(self) -> None:
        """End the process, at once where it is at work."""
        self.connection.close()
        if self.job is not None:
            self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class _Pool:
    """Hands jobs out; a worker that dies takes no more with it than its own attempt."""

    def __init__(
        self, jobs: Sequence[Job], store: str | None, on_frame: Callable[[Job], None] | None
    ) -> None:
        self._jobs, self._store, self._on_frame = deque(jobs), store, on_frame
        self._deaths: Counter[Job] = Counter()
        self._workers: list[_Worker] = []

    def run(self, workers: int) -> Iterator[tuple[Job, Evaluated]]:
        for _ in range(workers):
            self._hire()
        while self._workers:
            ready = wait([worker.connection for worker in self._workers])
            for worker in [worker for worker in self._workers if worker.connection in ready]:
                if (done := self._listen(worker)) is not None:
                    yield done

    def close(self) -> None:
        for worker in self._workers:
            worker.close()
        self._workers.clear()

    def _hire(self) -> None:
        self._workers.append(_Worker(self._store))
        self._feed(self._workers[-1])

    def _feed(self, worker: _Worker) -> None:
        """Give a worker its next job, or leave where there is none."""
        worker.job = None
        if self._jobs:
            worker.take(self._jobs.popleft())
            return
        self._workers.remove(worker)
        worker.close()

    def _listen(self, worker: _Worker) -> tuple[Job, Evaluated] | None:
        """Hear what a worker has to say; return its result where that is it."""
        job = worker.job
        try:
            message: Any = worker.connection.recv()
        except (EOFError, OSError):
            return self._bury(worker)
        if message is READY:
            worker.started = True
            return None
        if message is FRAME:
            if self._on_frame is not None and job is not None:
                self._on_frame(job)
            return None
        if isinstance(message, str):
            raise VssError(message)
        self._feed(worker)
        return None if job is None else (job, message)

    def _bury(self, worker: _Worker) -> tuple[Job, Evaluated] | None:
        """Have a dead worker's job done by another, or give it up."""
        job = worker.job
        self._workers.remove(worker)
        worker.job = None
        worker.close()
        code = worker.process.returncode
        # One that ends by itself would do so again; one that was killed while it started may have been
        # unlucky, when memory was short.
        if not worker.started and code >= 0:
            raise VssError(f'a worker process could not start (exit code {code}), see above')
        if job is None:
            return None
        self._deaths[job] += 1
        done = None
        if self._deaths[job] < ATTEMPTS:
            self._jobs.appendleft(job)
        else:
            reason = f'the worker died {ATTEMPTS} times at this input (exit code {code}); is memory short? '
            done = job, failure(job.path, reason + 'Use fewer --workers')
        if self._jobs:
            self._hire()
        return done


READY = True
"""First message: the worker has started."""
FRAME = None
"""A frame was computed; every other message is a result or, as a text, an error."""


def work(connection: Connection, store: str | None) -> None:
    """Run jobs: the connection gives a ``Job`` at a time and takes ``READY``, ``FRAME`` and results."""
    with suppress(EOFError, OSError), Inputs() as inputs:  # the parent has gone, or wants no more
        connection.send(READY)
        while True:
            job: Job = connection.recv()
            try:
                result: Evaluated | str = evaluate_stored(
                    job.path, job.config, store, lambda: connection.send(FRAME), inputs=inputs
                )
            except (VssError, OSError) as error:  # such as a store that cannot be written
                result = str(error)
            connection.send(result)


if __name__ == '__main__':
    work(Connection(int(sys.argv[1])), sys.argv[2] or None)
