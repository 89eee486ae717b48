"""Colour masks as CamVid and UAVid publish theirs."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar

from vss_ros.errors import VssError
from vss_ros.evaluation.export.base import Exporter, ids_in, translate
from vss_ros.images.classes import load_classes

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.images.classes import ClassTable

BLACK = (0, 0, 0)


class ColourExporter(Exporter):
    """RGB PNGs in the colours of a data set's own label files; what has no class is black."""

    written: ClassVar[str]
    """Name of the table whose colours the data set's files hold."""

    def __init__(self, folder: Path, table: ClassTable) -> None:
        """Look up the colours.

        Args:
            folder: Where to write.
            table: The data set's own classes, or others merged from them.

        Raises:
            VssError: The classes are not the data set's.
        """
        own = load_classes(self.written)
        self._colours = own.colours[ids_in(own, table)]
        super().__init__(folder, table)

    def pixels(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return colours."""
        return translate(mask, self._colours, BLACK)


class CamVidExporter(ColourExporter):
    """``NAME_L.png`` beside each other, colours of CamVid's ``label_colors.txt``; Void is black.

    SegNet's 11 classes are drawn as the label of CamVid each is named after (pavement as Sidewalk), so that
    whatever reads CamVid's label files reads these.
    """

    written = 'camvid32'

    def file_name(self, frame_name: str) -> str:
        """Return ``NAME_L.png``, folders left out."""
        return f'{PurePosixPath(frame_name).name.removesuffix("_L")}_L.png'


class UAVidExporter(ColourExporter):
    """``SEQUENCE/Labels/NAME.png``, as UAVid's benchmark wants them; it has no void: clutter is black."""

    written = 'uavid8'

    def file_name(self, frame_name: str) -> str:
        """Return ``SEQUENCE/Labels/NAME.png`` for ``SEQUENCE/NAME`` or ``SEQUENCE/Images/NAME``.

        Raises:
            VssError: The sequence is missing.
        """
        folders = [part for part in PurePosixPath(frame_name).parts if part != 'Images']
        if len(folders) < 2:
            raise VssError(f'expected a frame of UAVid, such as seq16/000100, got {frame_name!r}')
        return f'{folders[-2]}/Labels/{folders[-1]}.png'
