"""Writes simulated drives: folders of images and labels to train on, or a bag to play."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING

import cv2
from tqdm import tqdm

from simulator.drive import field_of_view, render_drive
from vss_ros.errors import VssError
from vss_ros.files import whole_folder
from vss_ros.recordings.bags import CAMERA_INFO, COMPRESSED_IMAGE, BagWriter
from vss_ros.recordings.messages import camera_info, compressed_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from simulator.labels import StreetFrame

CLIP_SEED, CLIP_FRAMES, CLIP_CHANGE = 52, 165, 112
"""The clip that comes with the package."""
OPTICAL_FRAME = 'camera_optical_frame'
IMAGE_TOPIC, INFO_TOPIC, MASK_TOPIC = (
    '/camera/image_raw/compressed',
    '/camera/camera_info',
    '/camera/mask/compressed',
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """What to render of every drive."""

    frames: int
    """Length in frames."""
    every: int = 1
    """Step between the frames that are kept."""
    size: tuple[int, int] = (360, 480)
    """Rows and columns."""
    fps: float = 15.0
    varied: bool = False
    """Whether haze, speed, traffic and turns are drawn more widely."""


def _rendered(seed: int, stretch: Stretch, scene_change_at: int | None = None) -> Iterator[StreetFrame]:
    return render_drive(
        seed,
        stretch.frames,
        size=stretch.size,
        fps=stretch.fps,
        scene_change_at=scene_change_at,
        every=stretch.every,
        varied=stretch.varied,
    )


def _write_drive(folder: Path, seed: int, stretch: Stretch) -> int:
    """Write one drive's images and labels; returns their number."""
    cv2.setNumThreads(1)
    drive = _rendered(seed, stretch)
    count = 0
    for frame in drive:
        name = f'seed{seed:04d}_{round(frame.stamp_ns * stretch.fps / 1e9):06d}.png'
        cv2.imwrite(str(folder / 'images' / name), frame.image[..., ::-1])
        cv2.imwrite(str(folder / 'labels' / name), frame.labels)
        count += 1
    return count


def write_images(target: Path, seeds: Sequence[int], stretch: Stretch, *, workers: int = 1) -> int:
    """Write drives as ``images/seed0007_000012.png`` and ``labels/`` of the same names.

    Args:
        target: New folder; appears when everything is written.
        seeds: One drive for each.
        stretch: What to render of every drive.
        workers: Number of processes.

    Returns:
        The number of images.

    Raises:
        VssError: The folder exists.
        ImportError: pybullet is missing.
    """
    if target.exists():
        raise VssError(f'expected a new folder, got {target}, which exists; remove it or choose another')
    with whole_folder(target) as folder:
        for name in ('images', 'labels'):
            (folder / name).mkdir(parents=True)
        job = partial(_write_drive, folder, stretch=stretch)
        # The renderer keeps memory after a drive: a fresh process now and then gives it back.
        with get_context('spawn').Pool(workers, maxtasksperchild=4) as pool:
            done = pool.imap_unordered(job, seeds)
            return sum(tqdm(done, total=len(seeds), unit='drive', desc='rendering'))


def write_bag(
    target: Path, seed: int, stretch: Stretch, *, scene_change_at: int | None = None, quality: int = 75
) -> None:
    """Write one drive as an MCAP bag: camera image, camera info and exact mask, all of the same stamps.

    Args:
        target: New bag folder; appears when everything is written.
        seed: The drive.
        stretch: What to render of it.
        scene_change_at: Frame from which on it goes on somewhere else.
        quality: JPEG quality.

    Raises:
        VssError: The folder exists.
        ImportError: pybullet is missing.
    """
    field = field_of_view(seed)
    drive = _rendered(seed, stretch, scene_change_at)
    with BagWriter(target) as bag:
        bag.add_topic(IMAGE_TOPIC, COMPRESSED_IMAGE)
        bag.add_topic(INFO_TOPIC, CAMERA_INFO)
        bag.add_topic(MASK_TOPIC, COMPRESSED_IMAGE)
        for frame in tqdm(drive, total=-(-stretch.frames // stretch.every), unit='frame', desc='rendering'):
            stamp = frame.stamp_ns
            image = compressed_image(frame.image, stamp, OPTICAL_FRAME, quality=quality)
            mask = compressed_image(frame.labels, stamp, OPTICAL_FRAME, codec='png')
            info = camera_info(stretch.size, stamp, OPTICAL_FRAME, fov=field)
            for topic, message in ((IMAGE_TOPIC, image), (INFO_TOPIC, info), (MASK_TOPIC, mask)):
                bag.write(topic, stamp, message)
