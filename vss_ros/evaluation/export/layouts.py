"""The layouts: results for Cityscapes' benchmark, colours of CamVid and UAVid, class ids for COCO's tools."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from vss_ros.errors import VssError
from vss_ros.evaluation.export.exporter import Exporter
from vss_ros.files import write_json

if TYPE_CHECKING:
    from pathlib import Path

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
        match = FRAME.fullmatch(frame_name)
        if match is None:
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

    def values(self, own: ClassTable) -> NDArray[np.uint8]:
        """Return colours."""
        return own.colours

    def file_name(self, frame_name: str) -> str:
        """Return ``NAME_L.png``, folders left out."""
        return f'{PurePosixPath(frame_name).name.removesuffix("_L")}_L.png'


class UAVidExporter(Exporter):
    """``SEQUENCE/Labels/NAME.png`` in colours, as UAVid's benchmark wants them; clutter is black."""

    written = 'uavid8'

    def values(self, own: ClassTable) -> NDArray[np.uint8]:
        """Return colours."""
        return own.colours

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
        """Write the table of classes, which may be any."""
        super().__init__(folder, table)
        write_json(self.folder / TABLE_FILE, {'categories': categories(table)})

    def file_name(self, frame_name: str) -> str:
        """Return ``NAME.png``, folders left out."""
        return f'{PurePosixPath(frame_name).name}.png'


def categories(table: ClassTable) -> list[dict[str, Any]]:
    """Return a class table as COCO's list of categories.

    Args:
        table: Any classes; a name that is in none of ``GROUPS`` gets the supercategory ``other``.

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
