"""Measures how long a segmenter takes per frame: in one replay, or the median of several."""

from __future__ import annotations

import platform
import re
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import torch

from vss_ros import __version__
from vss_ros.engine.labels import resize_labels
from vss_ros.evaluation.replay.result import InputTiming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from vss_ros.engine.build import Built
    from vss_ros.engine.frames import Frame, FrameResult
    from vss_ros.evaluation.replay.result import Counts


class _Step(NamedTuple):
    """What one frame took, seconds."""

    latency: float
    parts: Mapping[str, float]


class Clock:
    """Steps a segmenter and takes the time; of several replays a frame's time is their median.

    A replay does the same work at the same frame every time, so that differences between two come from the
    machine: with three, one busy moment is in no figure any more.
    """

    def __init__(self, built: Built) -> None:
        self._built = built
        self._replays: list[list[_Step]] = []

    def start(self, frame: Frame) -> None:
        """Begin a replay: first calls, at the size of this frame, are over before the clock runs."""
        self._built.segmenter.warm_up((frame.image.shape[0], frame.image.shape[1]))
        self._replays.append([])

    def step(self, frame: Frame) -> FrameResult:
        """Return the answer; counted are the pipeline's parts and the way to the camera's size.

        Not counted is the simulated slow track, which on the robot runs beside, nor the confidence, for which
        nobody has to ask, unless labels hang on it.
        """
        segmenter = self._built.segmenter
        result = segmenter.step(frame, confidence=True)
        start = perf_counter()
        resize_labels(result.labels, result.size)
        left_out = () if segmenter.confidence.least else ('confidence',)
        seconds = {part: time for part, time in result.seconds.items() if part not in left_out}
        latency = sum(seconds.values()) + perf_counter() - start
        self._replays[-1].append(_Step(latency, seconds))
        return result

    def repeat(self, frames: Iterable[tuple[Frame, Any]], on_frame: Callable[[], None]) -> None:
        """Replay the same frames, each with its truth, once more for their times only."""
        for number, (frame, _) in enumerate(frames):
            if not number:
                self.start(frame)
            self.step(frame)
            on_frame()

    def timing(self, counts: Callable[[Sequence[float]], Counts]) -> InputTiming:
        """Return the medians; ``counts`` is what metrics count with these latencies, seconds."""
        frames = list(zip(*self._replays, strict=True))
        times = [[step.latency for step in steps] for steps in frames]
        latencies = [median(each) for each in times]
        ratios = [max(each) / min(each) for each in times]
        parts: defaultdict[str, list[float]] = defaultdict(list)
        for steps in frames:
            for part in steps[0].parts:
                parts[part].append(_milliseconds(median(step.parts[part] for step in steps)))
        return InputTiming(
            latency_ms=tuple(map(_milliseconds, latencies)),
            parts_ms={part: tuple(values) for part, values in sorted(parts.items())},
            metrics=counts(latencies),
            machine=describe_machine(self._built.device),
            replays=len(self._replays),
            spread=round(median(ratios), 3) if len(self._replays) > 1 else None,
        )


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Return processor, device, threads, date and versions, which belong to every measured time."""
    info = Path('/proc/cpuinfo')
    text = info.read_text(encoding='utf-8') if info.is_file() else ''
    model = re.search('^model name.*?:(.*)', text, re.MULTILINE)
    return {
        'cpu': model[1].strip() if model else platform.processor() or platform.machine(),
        'device': torch.cuda.get_device_name(device) if device.type == 'cuda' else 'cpu',
        'threads': torch.get_num_threads(),
        'date': datetime.now(UTC).strftime('%Y-%m-%d'),
        'versions': {
            'vss_ros': __version__,
            'python': platform.python_version(),
            'torch': torch.__version__,
            'numpy': np.__version__,
            'opencv': cv2.__version__,
        },
    }


def _milliseconds(seconds: float) -> float:
    return round(1e3 * seconds, 3)
