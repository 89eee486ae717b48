"""What every export of masks has in common: a file per frame, under the frame's name, written whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, ClassVar

import cv2
import numpy as np

from vss_ros.errors import VssError
from vss_ros.files import write_whole
from vss_ros.images.classes import load_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vss_ros.images.classes import ClassTable


class Exporter(ABC):
    """Writes masks into one folder, as a data set's own tools read them.

    Usage::

        exporter = EXPORTERS[name](folder, table)
        exporter.write('frankfurt/frankfurt_000000_000294', mask)
    """

    written: ClassVar[str] = ''
    """Name of the table whose ids or colours the data set's files hold; '' for the masks' own ids."""
    no_class: ClassVar[int] = 0
    """Value of a pixel that has no class, in every channel."""

    def __init__(self, folder: Path, table: ClassTable) -> None:
        """Look up the value of each class, and make the folder.

        Args:
            folder: Where to write; files of the same names are replaced.
            table: The classes of the masks: the data set's own, or others merged from them.

        Raises:
            VssError: The classes are not the data set's.
        """
        own = load_classes(self.written) if self.written else table
        self._palette = np.full((256, *self.values(own).shape[1:]), self.no_class, np.uint8)
        self._palette[: len(table)] = self.values(own)[ids_in(own, table)]
        self.folder, self.table = Path(folder), table
        self._names: set[str] = set()
        self.folder.mkdir(parents=True, exist_ok=True)

    def values(self, own: ClassTable) -> NDArray[np.uint8]:
        """Return what stands for each class of the data set: ids ``(C,)``, or colours ``(C, 3)``."""
        return np.arange(len(own), dtype=np.uint8)

    @abstractmethod
    def file_name(self, frame_name: str) -> str:
        """Return the file's path inside the folder for a frame.

        Raises:
            VssError: The layout needs names of another shape.
        """

    def pixels(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return what is drawn for a mask: grey ``(H, W)`` or RGB ``(H, W, 3)``."""
        return np.asarray(self._palette[mask])

    def write(self, frame_name: str, mask: NDArray[np.uint8]) -> Path:
        """Write one mask.

        Args:
            frame_name: The frame's name without ending, with the folders it lies in where that matters
                (``seq16/000100``); of a video's or bag's frame its number.
            mask: Class ids, ``(H, W)``; any other id is no class.

        Returns:
            The file, which appears once it is whole.

        Raises:
            VssError: The name leads out of the folder, is another frame's too, or is not of the shape the
                layout needs.
        """
        if PurePosixPath(frame_name).is_absolute() or '..' in frame_name.split('/') or not frame_name:
            raise VssError(f'expected a frame name inside the export folder, got {frame_name!r}; rename it')
        name = self.file_name(frame_name)
        if name in self._names:
            raise VssError(
                f'expected one frame for {name}, got a second one, {frame_name!r}; '
                f'export inputs whose frames have the same names into folders of their own'
            )
        self._names.add(name)
        write_whole(self.folder / name, _png(self.pixels(mask)))
        return self.folder / name


def ids_in(written: ClassTable, table: ClassTable) -> NDArray[np.uint8]:
    """Return which class of a data set's own table stands for each class that was merged from it.

    Of several merged into one it is the first named in ``of``: SegNet's ``car`` becomes CamVid's ``Car``.

    Args:
        written: The table whose ids or colours the files are to hold.
        table: The classes of the masks: that table, or one merged from it.

    Returns:
        Ids in ``written``, shape ``(len(table),)``.

    Raises:
        VssError: ``table`` was not merged from ``written``, or has a class of no part.
    """
    if written.name not in {table.name, table.merged_from}:
        raise VssError(
            f'expected masks of {written.name}, or of classes merged_from it, for this layout, got '
            f'{table.name}; take a model of such classes, or the layout coco, which holds any'
        )
    table.ids_of(written)  # refuses parts that the data set does not have
    if table.name == written.name:
        return np.arange(len(written), dtype=np.uint8)
    missing = [name for name, parts in zip(table.names, table.parts, strict=True) if not parts]
    if missing:
        raise VssError(f'expected "of" for each class of {table.name}, got none for {", ".join(missing)}')
    return np.array([written.names.index(parts[0]) for parts in table.parts], np.uint8)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    if pixels.ndim == 3:
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), np.uint8)
    _, data = cv2.imencode('.png', pixels)
    return data.tobytes()
