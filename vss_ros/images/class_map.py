"""Class maps: which classes of a network are published as one, by which name, number and colour."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import yaml

from vss_ros.errors import VssError
from vss_ros.resources import resource
from vss_ros.schema import read_yaml

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vss_ros.images.classes import ClassTable

REST = '*'
"""Stands for all classes that no other entry names."""
OTHER = 'other'
"""The class of what no entry names, where none says ``*``."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassMap:
    """From a network's class ids to those that are published."""

    table: ClassTable
    """Names and colours of what is published; the position is the id."""
    ids: NDArray[np.uint8]
    """Shape ``(256,)``: what is published for each of the network's ids; others, such as 255, stay as is."""
    changes: bool = True

    def labels(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return published ids ``(H, W)`` uint8 for the network's; the same array where nothing changes."""
        return np.asarray(cv2.LUT(labels, self.ids), np.uint8) if self.changes else labels

    def parts(self, name: str) -> NDArray[np.uint8]:
        """Return the network's ids that are published by a name; none where there is no such name."""
        known = len(self.ids) if name not in self.table.names else self.table.names.index(name)
        return np.flatnonzero(self.ids == known).astype(np.uint8)


def load_class_map(text: str, table: ClassTable) -> ClassMap:
    """Return the class map that a parameter stands for.

    Args:
        text: A shipped map (``autoware``), a YAML file, or YAML such as ``{drivable: [road, pavement]}``.
            Each entry is a name with the names of the network's classes, or ``{of: […], colour: [R, G, B]}``;
            its position is the id. Empty: all classes as they are.
        table: The network's classes.

    Raises:
        VssError: It is no class map, or names a class that the network does not know, or one twice.
    """
    ids = np.arange(256, dtype=np.uint8)
    if not text.strip():
        return ClassMap(table, ids, changes=False)
    entries, strict = _read(text)
    named = [name for of, _ in entries.values() for name in of if name != REST]
    unknown = [name for name in dict.fromkeys(named) if name not in table.names]
    twice = sorted({name for name in named if named.count(name) > 1})
    if (unknown and strict) or twice:
        fault = f'got {", ".join(unknown)}' if unknown and strict else f'got {", ".join(twice)} twice'
        raise VssError(f'class_map: expected classes of {table.name} ({", ".join(table.names)}), {fault}')
    left = [name for name in table.names if name not in named]
    if left and not any(REST in of for of, _ in entries.values()):
        entries[OTHER] = ([*entries.get(OTHER, ([], None))[0], REST], None)
    colours = np.zeros((len(entries), 3), np.uint8)
    for number, (of, colour) in enumerate(entries.values()):
        members = [table.names.index(name) for name in table.names if name in (left if REST in of else [])]
        members = [table.names.index(name) for name in of if name in table.names] + members
        ids[members] = number
        if colour is not None or members:
            colours[number] = table.colours[members[0]] if colour is None else colour
    colours.flags.writeable = False
    published = replace(
        table, name=f'{table.name} mapped', names=tuple(entries), colours=colours, void_id=255,
        merged_from='', parts=(),
    )  # fmt: skip
    return ClassMap(published, ids)


Entry = tuple[list[str], Any]
"""Names of the network's classes, and a colour or None."""


def _read(text: str) -> tuple[dict[str, Entry], bool]:
    """Return the entries, and whether each name in them must be the network's: shipped maps fit several."""
    strict = True
    try:
        if text.endswith(('.yaml', '.yml')):
            values = read_yaml(Path(text), 'class map').values
        elif text.isidentifier():
            strict = False
            values = read_yaml(resource('config', 'class_maps', f'{text}.yaml'), 'class map').values
        else:
            values = yaml.safe_load(text)
        return {str(name): _entry(entry) for name, entry in values.items()}, strict
    except (yaml.YAMLError, AttributeError, TypeError, KeyError, ValueError, FileNotFoundError) as error:
        raise VssError(
            f'class_map: expected a .yaml file, autoware, or {{NAME: [CLASS, …]}}, got {text!r} ({error})'
        ) from error


def _entry(entry: Any) -> Entry:
    of, colour = (entry['of'], entry.get('colour')) if isinstance(entry, dict) else (entry, None)
    if not isinstance(of, list) or not all(isinstance(name, str) for name in of):
        raise TypeError(f'{of!r} is no list of names')
    if colour is not None and (len(colour) != 3 or not all(0 <= int(value) <= 255 for value in colour)):
        raise ValueError(f'{colour!r} is no [R, G, B] of 0 to 255')
    return of, colour
