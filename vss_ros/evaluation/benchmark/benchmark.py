"""Runs all contenders, sizes and threads one after the other, and makes a row of figures of each."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from vss_ros.engine.build import build_segmenter
from vss_ros.engine.device import choose_device
from vss_ros.engine.model_card import read_card
from vss_ros.engine.network_files import in_short
from vss_ros.engine.option import written_size
from vss_ros.engine.options import SegmenterConfig
from vss_ros.engine.propagation.base import NO_PROPAGATION
from vss_ros.errors import VssError
from vss_ros.evaluation.benchmark.contenders import REFERENCE, Contender, own, per_frame, propagations
from vss_ros.evaluation.benchmark.turns import Entry, take_turns, turns
from vss_ros.evaluation.replay.clock import describe_machine
from vss_ros.evaluation.replay.operations import frame_operations
from vss_ros.latency import percentiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from tqdm import tqdm

    from vss_ros.engine.runtimes import Runtime
    from vss_ros.evaluation.replay.operations import FrameOperations

SEED = 0
BUSY = 0.3
"""Others' load a core, at the start, above which times are said to be of a busy machine."""
VIDEO_RATE = 15.0
"""Frames of a second of video in the figure of CPU time."""
PACKAGES = ('openvino', 'onnxruntime', 'torch', 'numpy', 'opencv-python-headless', 'opencv-python')


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    model: str
    device: str
    sizes: tuple[tuple[int, int] | None, ...]
    """Network inputs; None: the model's own."""
    threads: tuple[int, ...]
    runtimes: tuple[str, ...]
    """``auto`` chooses among them."""
    propagations: tuple[str, ...]
    tracks: tuple[str, ...]
    files: tuple[str, ...]
    """Users' own ``.onnx``."""
    frames: int
    """Counted of each contender."""
    quick: bool
    """Propagations do not run in PyTorch at f32, too, nor the network at precisions that only compare."""


@dataclass(frozen=True)
class Row:
    """The figures of one contender."""

    name: str
    kind: str
    """``per_frame``, ``propagation`` or ``own``."""
    model: str
    propagation: str
    scheduler: str
    interval: int
    track: str
    runtime: str
    precision: str
    size: tuple[int, int]
    threads: int
    frames: int
    latency_ms: dict[str, float]
    ratio_same_runtime: float | None
    """Of medians, to the network on every frame in the same runtime at the same precision."""
    ratio_best: float | None
    """Of medians, to the fastest of those that run the network on every frame."""
    gflops: float | None
    """A frame's mean, slow track included."""
    memory_mb: float
    """Growth of the process's memory when it was built and warmed up."""
    cpu_s_per_s: float
    """CPU time of both tracks per second of 15 Hz video."""
    key_frame_rate: float
    """Share of frames that are key frames."""
    faults: tuple[str, ...]
    """What of it could not be compiled and ran in PyTorch."""


class Benchmark:
    """Measures as planned.

    Args:
        images: RGB ``(H, W, 3)`` of one video, in order.
        rate: Its frames per second, in which those of a slow track are given.
        bar: Is moved on; its total grows as contenders become known.
    """

    def __init__(self, plan: Plan, images: Sequence[NDArray[np.uint8]], rate: float, bar: tqdm[Any]) -> None:
        self._plan, self._images, self._rate, self._bar = plan, images, rate, bar
        self._operations: dict[tuple[str, ...], FrameOperations] = {}
        self.rows: list[Row] = []
        self.left_out: dict[str, str] = {}
        """Why a contender is not among the rows, by its name."""
        self.choices: list[dict[str, Any]] = []
        """What ``auto`` took at each size and number of threads, and why."""
        self._load = [round(load, 2) for load in os.getloadavg()]

    def run(self) -> None:
        """Measure all sizes and threads, each a competition of its own.

        Raises:
            VssError: The model cannot be built.
        """
        torch.manual_seed(SEED)
        for size in self._plan.sizes:
            for threads in self._plan.threads:
                base = SegmenterConfig(
                    model=self._plan.model, device=self._plan.device, size=size, threads=threads
                )
                self._compete(base)

    def _compete(self, base: SegmenterConfig) -> None:
        contenders = self._contenders(base)
        self._bar.total += len(contenders) * (1 + turns(self._plan.frames))
        entries = []
        try:
            for contender in contenders:
                self._bar.set_postfix_str(f'building {contender.name}')
                entry = self._entry(contender)
                entries += [] if entry is None else [entry]
                self._bar.update(1 if entry is not None else 1 + turns(self._plan.frames))
            self._bar.set_postfix_str('measuring')
            take_turns(entries, self._images, self._plan.frames, self._rate, self._bar.update)
            self.rows += self._figures(entries)
        finally:
            for entry in entries:
                entry.close()

    def _contenders(self, base: SegmenterConfig) -> list[Contender]:
        plan, device = self._plan, choose_device(base.device)
        best = self._chosen(base)
        base = replace(base, size=best.size)
        chosen = (best.runtime.name, best.runtime.precision)
        computing = [chosen, *([REFERENCE] if not plan.quick and REFERENCE[0] in plan.runtimes else [])]
        moving = propagations(base, plan.propagations, plan.tracks, list(dict.fromkeys(computing)))
        theirs = [contender for file in plan.files for contender in own(base, file, plan.runtimes)]
        return [
            *per_frame(base, read_card(base.model), device, plan.runtimes, quick=plan.quick),
            *theirs,
            *moving,
        ]

    def _chosen(self, base: SegmenterConfig) -> _Chosen:
        """Return what ``auto`` takes, among all runtimes or of the first where only some are wanted."""
        everything = len(self._plan.runtimes) > 1 and {'openvino', 'torch'} <= set(self._plan.runtimes)
        config = replace(
            base, propagation=NO_PROPAGATION, runtime='auto' if everything else self._plan.runtimes[0]
        )
        built = build_segmenter(config)
        height, width = self._images[0].shape[:2]
        chosen = _Chosen(built.runtime, built.segmenter.network_size((height, width)))
        built.segmenter.close()
        about: dict[str, Any] = {'runtime': chosen.runtime.name, 'precision': chosen.runtime.precision}
        about |= {'size': list(chosen.size), 'threads': base.threads, 'reason': chosen.runtime.reason}
        self.choices.append(about)
        return chosen

    def _entry(self, contender: Contender) -> Entry | None:
        height, width = self._images[0].shape[:2]
        entry = None
        try:
            entry = Entry(contender, (height, width))
            if entry.built is not None and self._key(contender) not in self._operations:
                parts = entry.built.segmenter.parts
                with torch.inference_mode():
                    counted = frame_operations(parts, entry.size, entry.built.device)
                self._operations[self._key(contender)] = counted
        except Exception as error:  # noqa: BLE001 (runtimes raise what they like; the others go on)
            if entry is not None:
                entry.close()
            config = contender.config
            name = f'{contender.name}, {config.runtime} {config.precision}'
            self.left_out[name] = str(error) if isinstance(error, VssError) else in_short(error)
            return None
        return entry

    @staticmethod
    def _key(contender: Contender) -> tuple[str, ...]:
        config = contender.config
        return (config.propagation, config.scheduler, written_size(config.size))

    def _figures(self, entries: Sequence[Entry]) -> list[Row]:
        whole = {
            (entry.contender.config.runtime, entry.contender.config.precision): median(entry.seconds)
            for entry in entries
            if entry.contender.kind == 'per_frame'
        }
        return [self._row(entry, whole) for entry in entries]

    def _row(self, entry: Entry, whole: dict[tuple[str, str], float]) -> Row:
        contender, config = entry.contender, entry.contender.config
        usual = median(entry.seconds)
        same = whole.get((config.runtime, config.precision))
        gflops = None
        if not contender.file:
            by_track = self._operations[self._key(contender)].by_track
            total = sum(by_track[who] * number for who, number in entry.answered.items())
            gflops = round(total / entry.steps / 1e9, 2) or None
        return Row(
            contender.name, contender.kind, contender.file or config.model, config.propagation,
            config.scheduler, config.interval, config.track, config.runtime, config.precision, entry.size,
            config.threads, len(entry.seconds), percentiles(entry.seconds),
            None if same is None else round(usual / same, 3),
            round(usual / min(whole.values()), 3) if whole else None,
            gflops, round(max(entry.memory_mb, 0.0), 1),
            round(entry.cpu_seconds / entry.steps * VIDEO_RATE, 3), round(entry.key_frames / entry.steps, 3),
            tuple(entry.faults),
        )  # fmt: skip

    @property
    def busy(self) -> bool:
        """Whether others used this machine when the benchmark began."""
        return self._load[0] > BUSY * (os.cpu_count() or 1)

    def for_machines(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            'format': 1,
            'seed': SEED,
            'machine': describe_machine(choose_device(self._plan.device)) | _about_machine(),
            'load_average': {'start': self._load, 'end': [round(load, 2) for load in os.getloadavg()]},
            'busy': self.busy,
            'plan': asdict(self._plan),
            'rate': self._rate,
            'auto': self.choices,
            'rows': [asdict(row) for row in self.rows],
            'left_out': self.left_out,
        }


@dataclass(frozen=True)
class _Chosen:
    runtime: Runtime
    size: tuple[int, int]


def _about_machine() -> dict[str, Any]:
    versions = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return {'cores': os.cpu_count(), 'system': platform.platform(), 'packages': versions}
