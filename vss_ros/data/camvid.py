"""Labelled stills in memory: CamVid's SegNet layout and every folder pair that looks like it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vss_ros.errors import VssError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LAYOUTS = (('train', 'trainannot'), ('images', 'labels'), ('val', 'valannot'), ('test', 'testannot'))


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Images and label maps of one data set, held in memory.

    Attributes:
        images: RGB, ``(H, W, 3)`` uint8 each.
        labels: Class ids, ``(H, W)`` uint8 each, same order.
        names: File stems, same order.

    """

    images: list[NDArray[np.uint8]]
    labels: list[NDArray[np.uint8]]
    names: list[str]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def select(self, keep: list[int]) -> LabelledImages:
        """Return the images at the given positions."""
        return LabelledImages(
            [self.images[i] for i in keep], [self.labels[i] for i in keep], [self.names[i] for i in keep]
        )


def load_labelled_folder(root: Path, split: str | None = None) -> LabelledImages:
    """Read every image that has a label map.

    Args:
        root: Folder holding ``train``/``trainannot``, ``images``/``labels`` or another pair of ``LAYOUTS``.
        split: The image folder's name; the first pair found where None.

    Raises:
        VssError: No known pair of folders, an image without labels, or sizes that differ.

    """
    images, labels = _folders(root, split)
    files = sorted(p for p in images.iterdir() if p.suffix.lower() in {'.png', '.jpg', '.jpeg'})
    missing = [p.name for p in files if not (labels / f'{p.stem}.png').is_file()]
    if missing or not files:
        what = (
            f'{len(missing)} of {len(files)} images have no label map, e.g. {missing[:3]}'
            if missing
            else 'no images'
        )
        msg = f'{root}: expected one PNG in {labels.name}/ per image in {images.name}/, got: {what}'
        raise VssError(msg)
    found = LabelledImages([], [], [])
    for path in files:
        image = cv2.cvtColor(_read(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        label = _read(labels / f'{path.stem}.png', cv2.IMREAD_UNCHANGED)
        if label.shape != image.shape[:2]:
            msg = f'{path}: image is {image.shape[:2]} (height, width), its label map {label.shape}'
            raise VssError(msg)
        found.images.append(np.asarray(image, np.uint8))
        found.labels.append(label)
        found.names.append(path.stem)
    return found


def _folders(root: Path, split: str | None) -> tuple[Path, Path]:
    for images, labels in LAYOUTS:
        if split in (None, images) and (root / images).is_dir() and (root / labels).is_dir():
            return root / images, root / labels
    wanted = ' or '.join(f'{a}/ + {b}/' for a, b in LAYOUTS if split in (None, a))
    found = sorted(p.name for p in root.glob('*'))[:8] if root.is_dir() else 'no folder'
    msg = f'{root}: expected {wanted}, found {found}'
    raise VssError(msg)


def _read(path: Path, flags: int) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), flags)
    if image is None:
        msg = f'{path}: not a readable image; replace or remove it'
        raise VssError(msg)
    return np.asarray(image, np.uint8)
