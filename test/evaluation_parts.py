"""Small inputs and configurations that evaluation tests are made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2

from vss_ros.cli.main import main
from vss_ros.engine.options import SegmenterConfig
from vss_ros.evaluation.sweep.configuration import EvaluationConfig
from vss_ros.recordings.open import open_source
from vss_ros.resources import resource

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

SIZE = (72, 96)
CAMERA = (90, 120)
FRAMES = 9
PROPAGATION, SCHEDULER = 'refined_warping', 'accumulated_deviation'


def config(name: str = 'tiny', **settings: Any) -> EvaluationConfig:
    """Return a configuration at a tiny size on one thread of the CPU, its parts use all of the engine."""
    plain: dict[str, Any] = {'device': 'cpu', 'threads': 1, 'size': SIZE, 'slow_delay': 1, 'interval': 4}
    plain |= {'propagation': PROPAGATION, 'scheduler': SCHEDULER}
    return EvaluationConfig(SegmenterConfig(**(plain | settings)), name)


def options(*more: str) -> list[str]:
    """Return the same as command-line options."""
    size = 'x'.join(map(str, SIZE))
    parts = ['--propagation', PROPAGATION, '--scheduler', SCHEDULER]
    return ['--device', 'cpu', '--threads', '1', '--size', size, '--interval', '4', *parts, *more]


def clip(root: Path, frames: int = FRAMES, *, masks: bool = True, size: tuple[int, int] = CAMERA) -> Path:
    """Write the embedded clip's first images, small, masks beside them; return the images' folder."""
    wide = size[::-1]
    (root / 'images').mkdir(parents=True)
    (root / 'labels').mkdir()
    with open_source(resource('test', 'data', 'street')) as source:
        for frame, mask in source:
            if frame.index == frames:
                break
            assert mask is not None
            name = f'{frame.index:04d}.png'
            small = cv2.resize(frame.image, wide, interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(root / 'images' / name), small[..., ::-1])
            nearest = cv2.resize(mask, wide, interpolation=cv2.INTER_NEAREST)
            cv2.imwrite(str(root / 'labels' / name), nearest)
    if not masks:
        for file in (root / 'labels').iterdir():
            file.unlink()
        (root / 'labels').rmdir()
    return root / 'images'


def bag(images: Path, target: Path, *more: str) -> Path:
    """Make a bag of images and their masks, losslessly."""
    assert main(['bag', 'make', str(images), '-o', str(target), '--format', 'png', *more]) == 0
    return target


def images_of(folder: Path) -> list[np.ndarray]:
    """Read the images of a folder in order, RGB."""
    with open_source(folder) as source:
        return [frame.image for frame, _ in source]


def masks_of(folder: Path) -> list[np.ndarray]:
    """Read the masks of a folder of images in order."""
    with open_source(folder) as source:
        return [mask for _, mask in source if mask is not None]


class Clock:
    """Time that passes only where somebody works or sleeps."""

    def __init__(self) -> None:
        self.now = 5.0

    def perf_counter(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
