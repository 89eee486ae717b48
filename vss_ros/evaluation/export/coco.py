"""Masks of class ids beside a table of the classes in COCO's form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from vss_ros.evaluation.export.base import Exporter, translate
from vss_ros.files import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.images.classes import ClassTable

NO_CLASS = 255
"""What COCO-Stuff's pixel maps hold where there is no class."""
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


class CocoExporter(Exporter):
    """Grey PNGs of class ids under the frames' own names, 255 for no class, and ``categories.json``."""

    def __init__(self, folder: Path, table: ClassTable) -> None:
        """Write the class table.

        Args:
            folder: Where to write.
            table: Any classes.
        """
        super().__init__(folder, table)
        text = json.dumps({'categories': categories(table)}, indent=2, ensure_ascii=False) + '\n'
        write_whole(self.folder / TABLE_FILE, text.encode())
        self._ids = table.ids_of(table)

    def file_name(self, frame_name: str) -> str:
        """Return ``NAME.png``, in the frame's folders."""
        return f'{frame_name}.png'

    def pixels(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return class ids, 255 where there is none."""
        return translate(mask, self._ids, NO_CLASS)
