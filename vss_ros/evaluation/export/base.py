"""What every export of masks has in common: a file per frame, under the frame's name, written whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vss_ros.errors import VssError
from vss_ros.files import write_whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vss_ros.images.classes import ClassTable


class Exporter(ABC):
    """Writes the masks of any number of inputs into one folder, as a data set's own tools read them.

    Usage::

        exporter = EXPORTERS[name](folder, table)
        exporter.write('frankfurt/frankfurt_000000_000294', mask)
    """

    def __init__(self, folder: Path, table: ClassTable) -> None:
        """Make the folder.

        Args:
            folder: Where to write; files of the same names are replaced.
            table: The classes of the masks.

        Raises:
            VssError: The format cannot say these classes.
        """
        self.folder = Path(folder)
        self.table = table
        self._written: set[Path] = set()
        self.folder.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def file_name(self, frame_name: str) -> str:
        """Return the file's path inside the folder for a frame.

        Raises:
            VssError: The format needs names of another shape.
        """

    @abstractmethod
    def pixels(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return what is drawn: grey ``(H, W)`` or RGB ``(H, W, 3)``."""

    def write(self, frame_name: str, mask: NDArray[np.uint8]) -> Path:
        """Write one mask.

        Args:
            frame_name: The frame's name in its data set without ending, with the folders it lies in where
                that matters (``seq1/000100``); of a bag's frame any name that no other frame has.
            mask: Class ids, ``(H, W)``; any other id is no class.

        Returns:
            The file, which appears once it is whole.

        Raises:
            VssError: The name leads out of the folder, is another frame's too, or is not of the shape the
                format needs.
        """
        if PurePosixPath(frame_name).is_absolute() or '..' in frame_name.split('/') or not frame_name:
            raise VssError(f'expected a frame name inside the export folder, got {frame_name!r}; rename it')
        path = self.folder / self.file_name(frame_name)
        if path in self._written:
            raise VssError(
                f'expected one frame for {path.name}, got a second one, {frame_name!r}; '
                f'export inputs whose frames have the same names into folders of their own'
            )
        self._written.add(path)
        write_whole(path, _png(self.pixels(mask)))
        return path


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
    table.ids_of(written)  # refuses what does not fit
    if table.name == written.name:
        return np.arange(len(written), dtype=np.uint8)
    missing = [name for name, parts in zip(table.names, table.parts, strict=True) if not parts]
    if missing:
        raise VssError(f'expected "of" for each class of {table.name}, got none for {", ".join(missing)}')
    return np.array([written.names.index(parts[0]) for parts in table.parts], np.uint8)


def translate(
    mask: NDArray[np.uint8], values: NDArray[np.uint8], otherwise: int | tuple[int, int, int]
) -> NDArray[np.uint8]:
    """Return each class id's value.

    Args:
        mask: Class ids, ``(H, W)``.
        values: By class id: grey values ``(C,)`` or colours ``(C, 3)``.
        otherwise: What every other id becomes.

    Returns:
        ``(H, W)`` or ``(H, W, 3)``.
    """
    palette = np.empty((256, *values.shape[1:]), np.uint8)
    palette[:] = otherwise
    palette[: len(values)] = values
    return palette[mask]


def _png(pixels: NDArray[np.uint8]) -> bytes:
    if pixels.ndim == 3:
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), np.uint8)
    _, data = cv2.imencode('.png', pixels)
    return data.tobytes()
