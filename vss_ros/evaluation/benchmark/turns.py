"""Contenders take turns at the same frames, a few at a time; what each frame took is noted."""

from __future__ import annotations

import gc
import time
from collections import Counter
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vss_ros.engine.build import build_segmenter
from vss_ros.engine.device import use_threads
from vss_ros.engine.frames import Frame
from vss_ros.engine.labels import resize_labels
from vss_ros.errors import VssError
from vss_ros.evaluation.benchmark.network_file import NetworkFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.engine.build import Built
    from vss_ros.engine.frames import AnsweredBy
    from vss_ros.evaluation.benchmark.contenders import Contender

TURN = 8
"""Counted frames of a turn; one more goes before, since another contender has just had the caches."""


class Entry:
    """A contender that is ready, and what was noted of it.

    Args:
        camera: Height and width of the images.

    Raises:
        VssError: It cannot be built, or what it is cannot be compiled: PyTorch would be measured instead.
    """

    def __init__(self, contender: Contender, camera: tuple[int, int]) -> None:
        self.contender = contender
        self.seconds: list[float] = []
        self.answered: Counter[AnsweredBy] = Counter()
        self.key_frames = 0
        self.cpu_seconds = 0.0
        self.steps = 0
        gc.collect()
        before = resident_mb()
        self.built: Built | None = None
        if contender.file:
            use_threads(contender.config.threads, background=False)
            network = NetworkFile(contender.file, contender.config)
            self.size, self._network = network.size, network
        else:
            self.built = build_segmenter(contender.config)
            self.size = self.built.segmenter.network_size(camera)
            self.built.segmenter.warm_up(camera)
            if contender.kind == 'per_frame' and self.built.runtime.faults:
                self.built.segmenter.close()
                raise VssError(self.built.runtime.faults[0])
        self.memory_mb = resident_mb() - before

    @property
    def faults(self) -> list[str]:
        """What of it could not be compiled and runs in PyTorch."""
        return [] if self.built is None else self.built.runtime.faults

    def take_turn(self, images: Sequence[NDArray[np.uint8]], counted: int, rate: float) -> None:
        """Answer the next frames, noting how long each but the first took, and the whole turn's CPU time.

        They come at the video's rate, as on a robot: between two the slow track goes on, and others have the
        caches. Who runs without a break answers sooner, the short ones most.
        """
        busy = time.process_time()
        due = time.perf_counter()
        for number in range(counted + 1):
            time.sleep(max(due + number / rate - time.perf_counter(), 0.0))
            frame = Frame(_there_and_back(images, self.steps), round(self.steps * 1e9 / rate), self.steps)
            self.steps += 1
            start = time.perf_counter()
            result = self._answer(frame)
            seconds = time.perf_counter() - start
            if number:
                self.seconds.append(seconds)
            if result is not None:
                self.answered[result.track] += 1
                self.key_frames += result.decision.is_key_frame
        if self.built is not None:
            self.built.segmenter.parts.track.finish()
        self.cpu_seconds += time.process_time() - busy

    def _answer(self, frame: Frame) -> Any:
        if self.built is None:
            self._network.answer(frame.image)
            return None
        result = self.built.segmenter.step(frame)
        resize_labels(result.labels, result.size)
        return result

    def close(self) -> None:
        """End its threads and let go of its memory."""
        if self.built is not None:
            self.built.segmenter.close()
        self.built = None


def take_turns(
    entries: Sequence[Entry], images: Sequence[NDArray[np.uint8]], frames: int, rate: float,
    on_turn: Callable[[], None],
) -> None:  # fmt: skip
    """Let each answer this many frames, in turns; every other round in reverse order.

    Args:
        entries: Who competes.
        images: RGB ``(H, W, 3)``, shown forwards and backwards again and again, without a jump.
        frames: Counted of each.
        rate: Frames per second of the video.
        on_turn: Called after each turn.
    """
    for number in range(turns(frames)):
        for entry in reversed(entries) if number % 2 else entries:
            entry.take_turn(images, min(TURN, frames - number * TURN), rate)
            on_turn()


def turns(frames: int) -> int:
    """Return the number of turns that make so many counted frames."""
    return ceil(frames / TURN)


def _there_and_back(images: Sequence[NDArray[np.uint8]], number: int) -> NDArray[np.uint8]:
    place = number % max(2 * len(images) - 2, 1)
    return images[min(place, 2 * len(images) - 2 - place)]


def resident_mb() -> float:
    """Return this process's memory in use, 0 where the system does not tell."""
    with suppress(OSError):
        for line in Path('/proc/self/status').read_text(encoding='ascii').splitlines():
            if line.startswith('VmRSS'):
                return int(line.split()[1]) / 1024
    return 0.0
