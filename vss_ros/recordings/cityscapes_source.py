"""Cityscapes as it is downloaded: ``leftImg8bit`` or ``leftImg8bit_sequence`` beside ``gtFine``."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from vss_ros.engine.frames import Frame
from vss_ros.errors import VssError
from vss_ros.images.classes import load_classes
from vss_ros.images.image_decoding import ImageError, decode_compressed
from vss_ros.recordings.folder_source import read_mask
from vss_ros.recordings.source import Source, SourceFrame, check_mask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from vss_ros.recordings.source import OnReject

IMAGES: Final = ('leftImg8bit_sequence', 'leftImg8bit')
"""Folders of images, the one with whole snippets first."""
LABELS: Final = 'gtFine'
SUFFIX: Final = '_leftImg8bit.png'
FPS: Final = 17.0
"""Of the recordings (Cordts et al. 2016, section 2.1)."""
SNIPPET_GAP: Final = 10.0
"""Seconds from one snippet to the next: longer than ``max_gap``, so that each is a stream of its own."""
VOID: Final = 255
_NAME: Final = re.compile(r'(?P<drive>.+_\d+)_(?P<number>\d+)_leftImg8bit\.png')


def is_cityscapes(path: Path) -> bool:
    """Say whether a folder is Cityscapes' root, or lies in its folder of images."""
    return any((path / name).is_dir() or name in path.absolute().parts for name in IMAGES)


def to_train_ids(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return train ids ``(H, W)`` of label ids; what is not evaluated becomes ``VOID``."""
    return np.asarray(_train_ids()[labels])


class CityscapesSource(Source):
    """The frames of a split or city in the order of their names, with the labels of those that have some.

    Of the sequences one frame in thirty is labelled; the others serve to reach it as the robot would.
    """

    def __init__(self, path: Path, *, masks: Path | None = None, on_reject: OnReject | None = None) -> None:
        """List the images and find the folder of labels.

        Args:
            path: Cityscapes' root (its ``val`` is taken), or a folder at or below ``leftImg8bit`` or
                ``leftImg8bit_sequence``.
            masks: The folder ``gtFine``, where it does not lie beside the images.
            on_reject: See :class:`Source`.

        Raises:
            VssError: No images.
        """
        super().__init__(path, on_reject)
        images = next((path / name for name in IMAGES if (path / name).is_dir()), path)
        folder = images / 'val' if (images / 'val').is_dir() else images
        self._images = sorted(file for file in folder.rglob(f'*{SUFFIX}') if _NAME.fullmatch(file.name))
        if not self._images:
            raise VssError(
                f'expected images called CITY_SEQUENCE_FRAME{SUFFIX} below {folder}, got none; '
                f'unpack leftImg8bit_sequence_trainvaltest.zip or leftImg8bit_trainvaltest.zip there'
            )
        labels = masks or _label_folder(self._images[0])
        self._labels = {file.name.partition('_gtFine_')[0]: file for file in _label_files(labels)}

    @property
    def frame_count(self) -> int:
        """Images found."""
        return len(self._images)

    @property
    def files(self) -> list[Path]:
        """Images and label maps."""
        return [*self._images, *self._labels.values()]

    @property
    def fps(self) -> float:
        """Of the recordings."""
        return FPS

    @property
    def has_masks(self) -> bool:
        """Whether any image has labels."""
        return any(_stem(file) in self._labels for file in self._images)

    def __iter__(self) -> Iterator[SourceFrame]:
        """Yield the images; each snippet begins ``SNIPPET_GAP`` after the last."""
        index, stamp = 0, 0.0
        before: tuple[str, int] | None = None
        for file in self._images:
            place = _place(file)
            if before is not None:
                follows = place == (before[0], before[1] + 1)
                stamp += 1 / FPS if follows else SNIPPET_GAP
            before = place
            try:
                image = decode_compressed(file.read_bytes(), '')
                mask = self._mask(file, image)
            except ImageError as error:
                self.reject(file.name, error)
                continue
            yield SourceFrame(Frame(image, round(stamp * 1e9), index), mask)
            index += 1

    def _mask(self, file: Path, image: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
        label_file = self._labels.get(_stem(file))
        if label_file is None:
            return None
        labels = check_mask(read_mask(label_file), image, file.name)
        return labels if label_file.name.endswith('TrainIds.png') else to_train_ids(labels)


@cache
def _train_ids() -> NDArray[np.uint8]:
    """Return the train id of each label id, ``(256,)``."""
    train, written = load_classes('cityscapes19'), load_classes('cityscapes34')
    ids = train.ids_of(written)
    table = np.full(256, VOID, np.uint8)
    table[: len(written)] = np.where(ids < len(train), ids, VOID)
    return table


def _stem(file: Path) -> str:
    return file.name.removesuffix(SUFFIX)


def _place(file: Path) -> tuple[str, int]:
    """Return drive and frame number: a snippet's frames differ by one."""
    match = _NAME.fullmatch(file.name)
    return (match['drive'], int(match['number'])) if match else (file.name, 0)


def _label_folder(image: Path) -> Path:
    """Return where Cityscapes puts the labels of the images around one image."""
    folder = image.absolute().parent
    while folder.name not in IMAGES and folder != folder.parent:
        folder = folder.parent
    below = image.absolute().relative_to(folder).parts
    split = below[0] if len(below) > 1 else ''
    return folder.parent / LABELS / split


def _label_files(folder: Path) -> list[Path]:
    """List one label map per image: train ids where somebody made them, label ids otherwise."""
    if not folder.is_dir():
        return []
    found = [folder.rglob(f'*_gtFine_label{kind}.png') for kind in ('Ids', 'TrainIds')]
    return [file for files in found for file in sorted(files)]
