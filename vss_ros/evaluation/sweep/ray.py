"""Runs an evaluation's jobs on a Ray cluster: one task an input, results taken in as they come."""

from __future__ import annotations

import logging
import os
import platform
import socket
from collections import deque
from contextlib import chdir, nullcontext, suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vss_ros import __version__
from vss_ros.errors import VssError
from vss_ros.evaluation.replay.content import code_digest
from vss_ros.evaluation.replay.evaluate_bag import evaluate_bag, failure
from vss_ros.evaluation.replay.input_frames import Inputs
from vss_ros.evaluation.sweep.store import ResultStore, result_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vss_ros.evaluation.replay.result import Evaluated
    from vss_ros.evaluation.sweep.configuration import EvaluationConfig
    from vss_ros.evaluation.sweep.pool import Job

Answer = tuple[str, 'Evaluated | None']
"""Key of a result, empty for one not to be kept, and the result; None where the caller has it."""
PATIENCE = 5.0
"""Seconds that a cluster's port has for taking a connection; Ray itself tries for a quarter of an hour."""


def connect(address: str) -> Any:
    """Join a cluster and return the package ``ray``.

    Raises:
        VssError: One sentence that says why not.
    """
    host, _, port = address.rpartition(':')
    if address != 'auto' and (not host or '/' in host or not port.isdigit()):
        raise VssError(f'expected the head node as HOST:PORT, or auto, got --address {address}')
    try:
        import ray
    except ImportError as error:
        raise VssError(
            f'expected Ray for --engine ray, got: {error}; pip install "vss_ros[ray]", in the version of the '
            'cluster'
        ) from error
    if host:
        _check_port(ray.util.get_node_ip_address() if host in ('localhost', '127.0.0.1') else host, int(port))
    os.environ.setdefault('RAY_gcs_server_port_wait_time_s', '1')  # attempts, of 40 s each
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises many kinds, even a bare Exception
        ray.shutdown()
        raise VssError(_refusal(address, str(error))) from error
    return ray


def _check_port(host: str, port: int) -> None:
    try:
        socket.create_connection((host.strip('[]'), port), PATIENCE).close()
    except OSError as error:
        raise VssError(
            f'expected a Ray cluster at {host}:{port}, got: {error}; is its head node up?'
        ) from error


def _refusal(address: str, text: str) -> str:
    text = ' '.join(text.split()).rstrip('.')
    if 'ersion mismatch' in text:
        return f'expected the Ray and Python of the cluster at {address} here too, got: {text}'
    return (
        f'expected this machine in the Ray cluster of --address {address}, got: {text}; '
        'start one by `ray start --head`, join one by `ray start --address HOST:PORT`'
    )


def check_room(machines: Sequence[dict[str, float]], wanted: dict[str, int]) -> None:
    """Refuse tasks that would wait for ever, as no machine has their ``num_cpus`` and ``num_gpus``."""
    cpus, gpus = wanted['num_cpus'], wanted['num_gpus']
    if not any(m.get('CPU', 0) >= cpus and m.get('GPU', 0) >= gpus for m in machines):
        got = ', '.join(f'{m.get("CPU", 0):g} CPUs and {m.get("GPU", 0):g} GPUs' for m in machines)
        raise VssError(
            f'expected a machine with {cpus} CPUs and {gpus} GPUs in the cluster, got {got or "none"}; '
            'change --threads or --device'
        )


RETRIES = 3
"""Times that an input is tried again whose worker, or whole machine, dies."""
SHARED = 'inputs, masks and models must lie on storage that all machines see under the same paths'


@dataclass(frozen=True)
class Task:
    """One input and its configurations as they go to a worker: names, no data."""

    path: str
    configs: tuple[EvaluationConfig, ...]
    folder: str
    """Where relative paths begin."""
    seen: tuple[str, ...]
    """Of the paths to read, those that exist on the machine that calls."""
    code: str
    """Digest of the code on the machine that calls."""


def run_ray_jobs(
    jobs: Sequence[Job], store: str | None, *, address: str = 'auto'
) -> Iterator[tuple[Job, Evaluated]]:
    """Yield each job with its result as it is done; results are those of ``run_jobs``.

    All configurations of an input are one task, so that its frames are decoded once. Closing the
    iterator cancels the tasks that are left.

    Args:
        jobs: Those of one input beside each other.
        store: Folder of the results, on this machine; None for none.
        address: ``HOST:PORT`` of the cluster's head node; ``auto`` for the cluster this machine belongs to.

    Raises:
        VssError: No Ray or no cluster, other versions there, a segmenter that a machine cannot build.
    """
    wanted = resources([job.config for job in jobs])
    ray = connect(address)
    try:
        check_room([node['Resources'] for node in ray.nodes() if node['Alive']], wanted)
        yield from _Run(ray, wanted, store).results(jobs)
    finally:
        ray.shutdown()


def resources(configs: Iterable[EvaluationConfig]) -> dict[str, int]:
    """Return what a task reserves: as many CPUs as it has threads, and a GPU where it computes on one.

    Raises:
        VssError: A GPU is named by its number, which is Ray's to choose.
    """
    segmenters = [config.segmenter for config in configs]
    devices = {segmenter.device for segmenter in segmenters}
    if numbered := sorted(device for device in devices if ':' in device):
        raise VssError(
            f'--device {numbered[0]}: expected cuda with --engine ray, which hands out GPUs itself'
        )
    threads = max((1, *(segmenter.threads for segmenter in segmenters)))
    return {'num_cpus': threads, 'num_gpus': int('cuda' in devices)}


def evaluate_input(task: Task, known: frozenset[str]) -> Iterator[Answer]:
    """Yield the answer to each configuration in order, given the keys of the results that the caller has.

    This is what workers run.

    Raises:
        VssError: This machine has other code, or cannot build a segmenter.
    """
    if code_digest() != task.code:
        raise VssError(
            f'expected the code of the calling machine (vss_ros {__version__}) on {platform.node()} too, '
            'got another version; install the same on every machine of the cluster'
        )
    folder = Path(task.folder)
    with Inputs() as inputs, chdir(folder) if folder.is_dir() else nullcontext():
        for config in task.configs:
            yield _answer(task, config, known, inputs)


def _answer(task: Task, config: EvaluationConfig, known: frozenset[str], inputs: Inputs) -> Answer:
    if hidden := [path for path in task.seen if not Path(path).exists()]:
        reason = f'expected {hidden[0]} on {platform.node()} too, got nothing there; {SHARED}'
        return '', failure(task.path, reason)
    try:
        key = result_key(inputs.open(task.path, config), config)
    except (VssError, OSError):
        key = ''  # evaluate_bag says what is wrong, of the input or the parts
    if key in known:
        return key, None
    try:
        evaluated = evaluate_bag(task.path, config, inputs=inputs)
    except VssError as error:
        raise VssError(f'{error} (on {platform.node()})') from error
    return '' if evaluated.result.failed else key, evaluated


class _Run:
    """Hands tasks out and takes results in."""

    def __init__(self, ray: Any, wanted: dict[str, int], store: str | None) -> None:
        self._ray = ray
        self._remote = ray.remote(num_returns='streaming', max_retries=RETRIES, **wanted)(evaluate_input)
        self._store = None if store is None else ResultStore(Path(store))
        keys = [] if store is None else [file.stem for file in Path(store).glob('*.json')]
        self._known = ray.put(frozenset(keys))
        self._pending: dict[Any, deque[Job]] = {}
        """Jobs whose answers are still to come, by the generator that gives them in this order."""

    def results(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Evaluated]]:
        try:
            for _, group in groupby(jobs, key=lambda job: job.path):
                self._submit(list(group), self._known)
            while self._pending:
                [ready], _ = self._ray.wait(list(self._pending), num_returns=1)
                yield from self._take(ready)
        finally:
            for generator in self._pending:
                with suppress(Exception):  # the cluster may be what has gone
                    self._ray.cancel(generator, force=True)

    def _submit(self, jobs: Sequence[Job], known: Any) -> None:
        path, configs = jobs[0].path, tuple(job.config for job in jobs)
        task = Task(path, configs, str(Path.cwd()), _seen(path, configs), code_digest())
        self._pending[self._remote.options(name=f'evaluate {path}').remote(task, known)] = deque(jobs)

    def _take(self, generator: Any) -> Iterator[tuple[Job, Evaluated]]:
        """Yield the next result of a task; where the task came to a bad end, one for each job left."""
        jobs = self._pending[generator]
        try:
            key, evaluated = self._ray.get(next(generator))
        except StopIteration:
            del self._pending[generator]
        except self._ray.exceptions.RayError as error:
            del self._pending[generator]
            reason = _reason(error)
            yield from ((job, failure(job.path, reason)) for job in jobs)
        else:
            yield from self._received(jobs.popleft(), key, evaluated)

    def _received(self, job: Job, key: str, evaluated: Evaluated | None) -> Iterator[tuple[Job, Evaluated]]:
        if evaluated is None and self._store is not None:
            evaluated = self._store.load(key, job.config.repeats)
        elif evaluated is not None and self._store is not None and key:
            self._store.save(key, evaluated)
        if evaluated is None:  # its file is damaged, or timed in fewer replays than wanted
            self._submit([job], frozenset())
            return
        yield job, replace(evaluated, result=replace(evaluated.result, path=job.path))


def _seen(path: str, configs: Iterable[EvaluationConfig]) -> tuple[str, ...]:
    """Return those of the paths to read that exist here; a model is a path only where it is a file."""
    models = {config.segmenter.model for config in configs if Path(config.segmenter.model).is_file()}
    masks = {config.masks for config in configs if config.masks}
    return tuple(name for name in (path, *sorted(masks | models)) if Path(name).exists())


def _reason(error: Exception) -> str:
    """Return why a task gave no result.

    Raises:
        VssError: The fault is the machine's, not the input's.
    """
    cause, text = getattr(error, 'cause', None), str(error).strip()
    if isinstance(cause, VssError):
        raise cause from None
    last = text.splitlines()[-1].strip() if text else type(error).__name__
    if "No module named 'vss_ros" in text:
        raise VssError(
            f'expected vss_ros {__version__} on every machine of the cluster, got: {last}; install it there'
        )
    if cause is not None:  # an error inside the task
        return last
    return (
        f'the worker died {RETRIES + 1} times at this input ({type(error).__name__}); '
        'is memory short on the machines of the cluster?'
    )
