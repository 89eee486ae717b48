"""A folder of images with a folder of masks where there is one; Cityscapes as it is downloaded."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from vss_ros.engine.frames import Frame
from vss_ros.errors import VssError
from vss_ros.images.classes import load_classes
from vss_ros.images.image_error import ImageError
from vss_ros.images.image_files import read_image
from vss_ros.images.label_code import id_code
from vss_ros.recordings.source import (
    IMAGE_SUFFIXES,
    Source,
    SourceFrame,
    files_in,
    is_pattern,
    mask_files,
    matching,
    read_mask,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from vss_ros.images.classes import ClassTable
    from vss_ros.recordings.source import OnReject

CITYSCAPES_IMAGES: Final = ('leftImg8bit_sequence', 'leftImg8bit')
"""Cityscapes' folders of images, the one with whole snippets first."""
CITYSCAPES_LABELS: Final = 'gtFine'
CITYSCAPES_FPS: Final = 17.0
"""Of the recordings (Cordts et al. 2016, section 2.1)."""
SNIPPET_GAP: Final = 10.0
"""Seconds from one snippet to the next: longer than ``max_gap``, so that each is a stream of its own."""
VOID: Final = 255
SLOWEST, FASTEST = 1e-3, 1e4
"""Frames per second: others make stamps that ROS has not."""
_SUFFIX: Final = '_leftImg8bit.png'
_NAME: Final = re.compile(r'(?P<drive>.+_\d+)_(?P<number>\d+)_leftImg8bit\.png')


class ImageFolder(Source):
    """Images in natural order, stamped by a steady frame rate; masks are named like the images."""

    def __init__(
        self,
        path: Path,
        *,
        masks: Path | None = None,
        fps: float = 15.0,
        on_reject: OnReject | None = None,
        table: ClassTable | None = None,
    ) -> None:
        """List the images and pair the masks.

        Args:
            path: The folder, or one with ``images`` and ``labels``, or ``val`` and ``valannot``, in it; or a
                single image, or a pattern that the images' names fit.
            masks: Folder of masks named like the images; found by itself in CamVid's layout.
            fps: Frames per second.
            on_reject: See :class:`Source`.
            table: See :class:`Source`.

        Raises:
            VssError: No images, no fitting masks, or an impossible rate.
        """
        if not SLOWEST <= fps <= FASTEST:
            raise VssError(f'expected a frame rate of {SLOWEST} to {FASTEST} per second, got {fps}')
        super().__init__(path, on_reject, table)
        self._fps = self.fps = fps
        self._images, self._masks = self._find(masks)
        self.frame_count = len(self._images)
        self.has_masks = any(self._key(image) in self._masks for image in self._images)
        self.files = [*self._images, *self._masks.values()]
        self._read_files: list[Path] = []
        """Of the frames read so far, by index."""

    def _find(self, masks: Path | None) -> tuple[list[Path], dict[str, Path]]:
        """Return the images in order, and the mask files by :meth:`_key`."""
        wild = is_pattern(self.path)
        folder = self.path.parent if wild or self.path.is_file() else _image_folder(self.path)
        images = [self.path] if self.path.is_file() else matching(self.path) if wild else files_in(folder)
        if wild and not images:
            raise VssError(
                f'expected images called {self.path.name} in {folder}, got none; correct the pattern'
            )
        if not images:
            inside = ', '.join(sorted(entry.name for entry in folder.iterdir())[:8]) or 'nothing'
            kinds = ', '.join(sorted(IMAGE_SUFFIXES))
            raise VssError(
                f'expected images ({kinds}) in {folder}, got {inside}; name their own folder, or convert '
                'images of other kinds to PNG'
            )
        masks = masks or _sibling_masks(folder)
        found = {file.stem: file for file in mask_files(masks)} if masks else {}
        if masks and not any(image.stem in found for image in images):
            raise VssError(
                f'expected masks named like the images ({images[0].stem}.png), got none in {masks}'
            )
        return images, found

    def frame_name(self, frame: Frame) -> str:
        """Return the name of a frame that was read: that of its file after two folders, without ending."""
        file = self._read_files[frame.index]
        return '/'.join((*file.parent.resolve().parts[1:][-2:], file.stem))

    def __iter__(self) -> Iterator[SourceFrame]:
        """Yield the images; a damaged one keeps its place in time."""
        self._read_files.clear()
        for file, stamp in zip(self._images, self._stamps(), strict=True):
            try:
                image = read_image(file)
                mask_file = self._masks.get(self._key(file))
                mask = None if mask_file is None else self._read(mask_file, file, image)
            except ImageError as error:
                self.reject(file.name, error)
                continue
            self._read_files.append(file)
            yield SourceFrame(Frame(image, stamp, len(self._read_files) - 1), mask)

    def _key(self, image: Path) -> str:
        """Return what an image's name shares with its mask's."""
        return image.stem

    def _stamps(self) -> Iterator[int]:
        """Return each image's stamp in nanoseconds."""
        return (round(position * 1e9 / self._fps) for position in range(len(self._images)))

    def _read(self, mask_file: Path, file: Path, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return read_mask(mask_file, image, file.name, self.table)


class CityscapesFolder(ImageFolder):
    """The frames of a split or city of Cityscapes, with train ids for those that are labelled.

    Of the sequences one frame in thirty is labelled; the others serve to reach it as the robot would.
    """

    def __init__(
        self,
        path: Path,
        *,
        masks: Path | None = None,
        on_reject: OnReject | None = None,
        table: ClassTable | None = None,  # noqa: ARG002 -- labels are ids of Cityscapes' own
    ) -> None:
        """List the images of Cityscapes' root (of its ``val``), or of a folder in its folder of images.

        ``masks`` is the folder ``gtFine``, where it does not lie beside the images.

        Raises:
            VssError: No images.
        """
        super().__init__(path, masks=masks, fps=CITYSCAPES_FPS, on_reject=on_reject)

    def _find(self, masks: Path | None) -> tuple[list[Path], dict[str, Path]]:
        beside = (self.path / name for name in CITYSCAPES_IMAGES)
        folder = next((folder for folder in beside if folder.is_dir()), self.path)
        folder = folder / 'val' if (folder / 'val').is_dir() else folder
        images = sorted(file for file in folder.rglob(f'*{_SUFFIX}') if _NAME.fullmatch(file.name))
        if not images:
            raise VssError(
                f'expected images called CITY_SEQUENCE_FRAME{_SUFFIX} below {folder}, got none; '
                f'unpack leftImg8bit_sequence_trainvaltest.zip or leftImg8bit_trainvaltest.zip there'
            )
        labels = masks or _label_folder(images[0])
        # Of two label files for an image the later counts: train ids where they were made.
        kinds = [sorted(labels.rglob(f'*_gtFine_label{kind}.png')) for kind in ('Ids', 'TrainIds')]
        return images, {file.name.partition('_gtFine_')[0]: file for files in kinds for file in files}

    def _key(self, image: Path) -> str:
        return image.name.removesuffix(_SUFFIX)

    def _stamps(self) -> Iterator[int]:
        """Yield each image's stamp; a snippet begins ``SNIPPET_GAP`` after the last."""
        stamp, before = 0.0, None
        for match in (_NAME.fullmatch(file.name) for file in self._images):
            assert match is not None
            drive, number = match['drive'], int(match['number'])
            if before is not None:
                stamp += 1 / self._fps if (drive, number - 1) == before else SNIPPET_GAP
            before = drive, number
            yield round(stamp * 1e9)

    def _read(self, mask_file: Path, file: Path, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        labels = super()._read(mask_file, file, image)
        return labels if mask_file.name.endswith('TrainIds.png') else train_ids()[labels]


def is_cityscapes(path: Path) -> bool:
    """Say whether a folder is Cityscapes' root, or lies in its folder of images."""
    return any((path / name).is_dir() or name in path.absolute().parts for name in CITYSCAPES_IMAGES)


@cache
def train_ids() -> NDArray[np.uint8]:
    """Return the train id of each label id, ``(256,)``; what is not evaluated becomes ``VOID``."""
    train = load_classes('cityscapes19')
    ids = id_code(train, 'cityscapes34').grey
    return np.where((ids >= 0) & (ids < len(train)), ids, VOID).astype(np.uint8)


def _label_folder(image: Path) -> Path:
    """Return where Cityscapes puts the labels of the images around one image."""
    image = image.absolute()
    folder = next((f for f in image.parents if f.name in CITYSCAPES_IMAGES), image.parents[-1])
    split, *below = image.relative_to(folder).parts
    return folder.parent / CITYSCAPES_LABELS / (split if below else '')


def _image_folder(path: Path) -> Path:
    if (path / 'images').is_dir():
        return path / 'images'
    return path / 'val' if (path / 'val').is_dir() and (path / 'valannot').is_dir() else path


def _sibling_masks(folder: Path) -> Path | None:
    """Find the masks that CamVid's layout, or images/ + labels/, puts beside the images."""
    folder = folder.absolute()
    sibling = folder.parent / ('labels' if folder.name == 'images' else f'{folder.name}annot')
    return sibling if sibling.is_dir() and any(sibling.glob('*.png')) else None  # labels may be boxes
