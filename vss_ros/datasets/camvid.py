"""CamVid as its authors publish it: 701 stills, colour masks, and the division by sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import yaml

from vss_ros.datasets.listing import Film, Listing, consecutive, missing, refuse
from vss_ros.errors import VssError
from vss_ros.images.classes import load_classes
from vss_ros.images.label_code import colour_code
from vss_ros.resources import resource

if TYPE_CHECKING:
    from pathlib import Path

    from vss_ros.images.classes import ClassTable

IMAGES, LABELS, COLOURS = '701_StillsRaw_full', 'LabeledApproved_full', 'label_colors.txt'
TABLE = 'camvid32'
VIDEO_STEP = 2
"""Difference of the frame numbers (30 Hz) where CamVid is labelled at 15 Hz."""


def list_camvid(root: Path, split: str, table: ClassTable) -> Listing:
    """List a split of ``701_StillsRaw_full`` and ``LabeledApproved_full``.

    Splits are those of ``config/splits/camvid.yaml``; the classes ``camvid32``, or merged from it.

    Raises:
        VssError: Another split or table, files that are missing (all in one message), or colours in
            ``label_colors.txt`` that differ from the table's.
    """
    splits = yaml.safe_load(resource('config', 'splits', 'camvid.yaml').read_text(encoding='utf-8'))
    if split not in splits:
        raise VssError(f'{root}: expected a split of CamVid ({", ".join(splits)}), got {split!r}; name one')
    names: list[str] = []
    earlier: list[int] = []
    for part in splits[split]:
        numbers = range(part['first'], part['last'] + 1, part['step'])
        names += [part['name'].format(number) for number in numbers]
        earlier += consecutive(numbers, VIDEO_STEP)
    images = [root / IMAGES / f'{name}.png' for name in names]
    labels = [root / LABELS / f'{name}_L.png' for name in names]
    refuse(root, missing(root, images + labels), f'{IMAGES}/NAME.png and {LABELS}/NAME_L.png are needed')
    _check_colours(root / COLOURS)
    film = Film(images, list(range(len(names))), earlier)
    return Listing(images, labels, colour_code(table, TABLE), film)


def _check_colours(path: Path) -> None:
    """Compare ``label_colors.txt`` (lines of R, G, B, name) with the table."""
    if not path.is_file():
        return
    table = load_classes(TABLE)
    known = {name: tuple(colour) for name, colour in zip(table.names, table.colours.tolist(), strict=True)}
    known['Void'] = tuple(np.asarray(table.void_colours)[0].tolist())
    faults = []
    for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1):
        words = line.split()
        if words and (len(words) != 4 or words[:3] != [str(value) for value in known.get(words[3], ())]):
            faults.append(f'line {number}: {line!r}')
    refuse(path, faults, f'expected the colours of config/classes/{TABLE}.yaml; restore the file')
