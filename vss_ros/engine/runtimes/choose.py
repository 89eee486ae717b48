"""Which runtime, and at which precision."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from time import perf_counter
from typing import TYPE_CHECKING

import torch

from vss_ros.engine.network_files import in_short
from vss_ros.engine.runtimes.base import RUNTIMES, Runtime
from vss_ros.engine.runtimes.kept import folder, keep, kept
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vss_ros.engine.model_card import ModelCard
    from vss_ros.engine.options import SegmenterConfig

RUNS = 5
"""Runs of the whole network per precision, of which the fastest counts: others may use the cores as well."""
WARM_UP = 2


def runtime_class(config: SegmenterConfig, device: torch.device) -> type[Runtime]:
    """Return the class of the wanted runtime; for ``auto``, OpenVINO on CPUs where it is installed.

    PyTorch elsewhere and where the slow track is simulated: what is evaluated offline shall not depend on
    the machine, unless a runtime is asked for.

    Raises:
        VssError: No such runtime.
    """
    name = config.runtime
    if name == 'auto':
        live = device.type == 'cpu' and not config.slow_delay
        name = 'openvino' if live and find_spec('openvino') else 'torch'
    return RUNTIMES.get(name)


def make_runtimes(config: SegmenterConfig, card: ModelCard, device: torch.device) -> list[Runtime]:
    """Return the runtime at the wanted precision; for ``auto`` one for each that may be the fastest.

    Where no runtime was asked for and the best one does not open, PyTorch takes its place and says why.

    Raises:
        VssError: The runtime, the processor or the model does not have the precision.
    """
    cls = runtime_class(config, device)
    try:
        return _opened(cls, config, card, device)
    except Exception as error:
        if config.runtime != 'auto' or config.precision != 'auto' or cls.name == 'torch':
            raise
        fault = f'runtime {cls.name} does not open ({in_short(error)}); PyTorch computes instead'
        warnings.warn(fault, RuntimeWarning, stacklevel=2)
        (reference,) = _opened(RUNTIMES.get('torch'), config, card, device)
        reference.faults.append(fault)
        return [reference]


def _opened(
    cls: type[Runtime], config: SegmenterConfig, card: ModelCard, device: torch.device
) -> list[Runtime]:
    if config.precision not in ('auto', *cls.precisions):
        raise VssError(
            f'precision {config.precision}: expected one that runtime {cls.name} has, '
            f'{", ".join(cls.precisions)} or auto; choose one of them, or another runtime'
        )
    if config.interior:  # features at int8 are those of the backbone's own cut
        if config.precision == 'int8':
            raise VssError(
                f'precision int8: expected interior 0, at which int8 weights are cut, got {config.interior}; '
                'use that, or precision bf16 or f32'
            )
        card = card.model_copy(update={'int8': {}})
    names = [config.precision] if config.precision != 'auto' else cls.candidates(card, device)
    opened: list[Runtime] = []
    for name in names:
        runtime = cls(device, name, torch.get_num_threads())
        try:
            runtime.open(card)
        except VssError as error:
            if not opened:
                raise
            opened[0].faults.append(f'precision {name} is left out: {error}')
            warnings.warn(opened[0].faults[-1], RuntimeWarning, stacklevel=2)
            continue
        if config.precision == 'auto':
            runtime.reason = 'the only choice here'
        opened.append(runtime)
    return opened


def fastest(
    runtimes: Sequence[Runtime], run: Callable[[Runtime], Callable[[], object]], what: str, key: object
) -> Runtime:
    """Return the runtime whose run takes least time, and let it say what was measured.

    Args:
        runtimes: One or more; of one nothing is measured.
        run: Returns the call to measure, by a runtime.
        what: Is run, for the report.
        key: All that the outcome depends on beside the machine: where it was measured before, it is known.
    """
    if len(runtimes) == 1:
        return runtimes[0]
    question = (key, *(f'{runtime.description}, {runtime.threads}' for runtime in runtimes))
    if (known := kept(*question)) is not None:
        name, _, reason = known.decode().partition('\n')
        for runtime in runtimes:
            if runtime.precision == name:
                runtime.reason = f'{reason}, measured by an earlier start; see {folder()}'
                return runtime
    times = {runtime: _seconds(run(runtime)) for runtime in runtimes}
    best = min(runtimes, key=times.__getitem__)
    others = [f'{1e3 * times[r]:.1f} at {r.precision}' for r in runtimes if r is not best]
    best.reason = f'the fastest here: {1e3 * times[best]:.1f} ms for {what}, {", ".join(others)}'
    keep(f'{best.precision}\n{best.reason}'.encode(), *question)
    return best


def _seconds(call: Callable[[], object]) -> float:
    times = []
    for _ in range(WARM_UP + RUNS):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return min(times[WARM_UP:])
