"""Masks in the files that other tools read: ``vss segment --export``, ``EXPORTERS[name](folder, table)``.

``Exporter`` is what all layouts share: a file a frame, under the frame's name, written whole. The layouts:
results for Cityscapes' benchmark, colours of CamVid and UAVid, class ids for COCO's tools.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar

import cv2
import numpy as np

from vss_ros.errors import VssError
from vss_ros.files import write_json, write_png
from vss_ros.images.classes import load_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vss_ros.images.classes import ClassTable

SIZE = (1024, 2048)
"""Height and width of Cityscapes' images, and so of the files its evaluation accepts."""
FRAME = re.compile(r'(?:.*/)?(?P<core>[^_/]+_\d+_\d+)(?:_[^/]*)?')
"""A frame of Cityscapes: ``CITY_SEQUENCE_FRAME`` with anything before (folders) or after it."""
TABLE_FILE = 'categories.json'
OTHER = 'other'
GROUPS = {
    'flat': {'road', 'sidewalk', 'pavement', 'parking', 'rail track'},
    'construction': {'building', 'wall', 'fence', 'guard rail', 'bridge', 'tunnel'},
    'object': {'pole', 'polegroup', 'traffic light', 'traffic sign', 'sign'},
    'nature': {'vegetation', 'terrain', 'tree', 'low vegetation'},
    'sky': {'sky'},
    'human': {'person', 'rider', 'pedestrian', 'bicyclist', 'human'},
    'vehicle': {
        'car', 'truck', 'bus', 'caravan', 'trailer', 'train', 'motorcycle', 'bicycle',
        'static car', 'moving car',
    },
}  # fmt: skip
"""Cityscapes' groups of classes, with the names that CamVid's 11 classes and UAVid use."""
THINGS = {'human', 'vehicle'}
"""The groups whose members can be counted: those of which Cityscapes labels instances."""


class Exporter(ABC):
    """Writes masks into one folder, as a data set's own tools read them.

    Usage::

        exporter = EXPORTERS[name](folder, table)
        exporter.write('frankfurt/frankfurt_000000_000294', mask)

    Args:
        folder: Where to write; it is made, files of the same names are replaced.
        table: The classes of the masks: the data set's own, or others merged from them.

    Raises:
        VssError: The classes are not the data set's.
    """

    written: ClassVar[str] = ''
    """Name of the table whose ids or colours the data set's files hold; '' for the masks' own ids."""
    in_colour: ClassVar[bool] = False
    """Whether the files hold the classes' colours rather than their ids."""
    no_class: ClassVar[int] = 0
    """Value of a pixel that has no class, in every channel."""

    def __init__(self, folder: Path, table: ClassTable) -> None:
        own = load_classes(self.written) if self.written else table
        values = own.colours if self.in_colour else np.arange(len(own), dtype=np.uint8)
        self._palette = np.full((256, *values.shape[1:]), self.no_class, np.uint8)
        self._palette[: len(table)] = values[ids_in(own, table)]
        self.folder, self.table = Path(folder), table
        self._names: set[str] = set()
        self.folder.mkdir(parents=True, exist_ok=True)

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
        write_png(self.folder / name, self.pixels(mask))
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


class CityscapesExporter(Exporter):
    """Grey PNGs of label ids (not train ids), ``CITY_SEQUENCE_FRAME_pred_labelIds.png``, all in one folder.

    As ``evalPixelLevelSemanticLabeling`` of cityscapesScripts wants them: point ``CITYSCAPES_RESULTS`` at the
    folder and run ``csEvalPixelLevelSemanticLabeling``; a zip of it can be uploaded to the benchmark. What
    has no class gets label id 0, which is always wrong. Masks of another size are scaled to the benchmark's.
    """

    written = 'cityscapes34'

    def file_name(self, frame_name: str) -> str:
        """Return the file of a frame called ``CITY_SEQUENCE_FRAME``, with anything before or after it.

        Raises:
            VssError: The name has no such part.
        """
        if (match := FRAME.fullmatch(frame_name)) is None:
            raise VssError(
                f'expected a frame of Cityscapes, such as frankfurt_000000_000294_leftImg8bit, got '
                f'{frame_name!r}; segment a folder of such images, or export in another layout'
            )
        return f'{match["core"]}_pred_labelIds.png'

    def pixels(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return label ids at the benchmark's size, scaled by nearest neighbour."""
        ids = super().pixels(mask)
        if ids.shape == SIZE:
            return ids
        return np.asarray(cv2.resize(ids, SIZE[::-1], interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)


class CamVidExporter(Exporter):
    """``NAME_L.png`` beside each other, RGB in the colours of CamVid's ``label_colors.txt``; Void is black.

    SegNet's 11 classes are drawn as the label of CamVid each is named after (pavement as Sidewalk), so that
    any program that reads CamVid's label files reads these.
    """

    written = 'camvid32'
    in_colour = True

    def file_name(self, frame_name: str) -> str:
        """Return ``NAME_L.png``, folders left out."""
        return f'{PurePosixPath(frame_name).name.removesuffix("_L")}_L.png'


class UAVidExporter(Exporter):
    """``SEQUENCE/Labels/NAME.png`` in colours, as UAVid's benchmark wants them; clutter is black."""

    written = 'uavid8'
    in_colour = True

    def file_name(self, frame_name: str) -> str:
        """Return ``SEQUENCE/Labels/NAME.png`` for ``SEQUENCE/NAME`` or ``SEQUENCE/Images/NAME``.

        Raises:
            VssError: The sequence is missing.
        """
        folders = [part for part in PurePosixPath(frame_name).parts if part != 'Images']
        if len(folders) < 2:
            raise VssError(f'expected a frame of UAVid, such as seq16/000100, got {frame_name!r}')
        return f'{folders[-2]}/Labels/{folders[-1]}.png'


class CocoExporter(Exporter):
    """Grey PNGs of class ids, 255 for no class as in COCO-Stuff, and ``categories.json`` with the classes."""

    no_class = 255

    def __init__(self, folder: Path, table: ClassTable) -> None:
        super().__init__(folder, table)
        write_json(self.folder / TABLE_FILE, {'categories': categories(table)})

    def file_name(self, frame_name: str) -> str:
        """Return ``NAME.png``, folders left out."""
        return f'{PurePosixPath(frame_name).name}.png'


def categories(table: ClassTable) -> list[dict[str, Any]]:
    """Return any class table as COCO's list of categories; of no group in ``GROUPS`` is ``other``.

    Returns:
        For each class ``id`` (the value in the masks, from 0), ``name``, ``supercategory``, ``color``
        ([R, G, B]) and ``isthing`` (1 for what can be counted, else 0).
    """
    group_of = {name: group for group, names in GROUPS.items() for name in names}
    return [
        {
            'id': number,
            'name': name,
            'supercategory': group_of.get(name.lower(), OTHER),
            'color': colour,
            'isthing': int(group_of.get(name.lower()) in THINGS),
        }
        for number, (name, colour) in enumerate(zip(table.names, table.colours.tolist(), strict=True))
    ]


EXPORTERS: dict[str, type[Exporter]] = {
    'camvid': CamVidExporter,
    'cityscapes': CityscapesExporter,
    'coco': CocoExporter,
    'uavid': UAVidExporter,
}
"""By the name the command line uses; the first line of each docstring says what it writes."""
