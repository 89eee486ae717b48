"""Class tables: which id means what, and in which colour it is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from vss_ros.errors import VssError
from vss_ros.resources import resource
from vss_ros.schema import read_yaml

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class ClassTable:
    """The classes of one data set; tables share colours with other meanings, so never mix two."""

    name: str
    names: tuple[str, ...]
    """Class names; the position is the id."""
    colours: NDArray[np.uint8]
    """RGB, shape ``(C, 3)``."""
    void_id: int
    """Label of pixels that count nowhere; never a class id."""
    void_colours: NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, 3), np.uint8))
    """RGB, shape ``(V, 3)``: what colour masks draw void in; none where every colour is a class."""
    merged_from: str = ''
    """Table whose ids and colours the data set's own files hold, where that is another than this one."""
    parts: tuple[tuple[str, ...], ...] = ()
    """For each class here the names in ``merged_from`` that it stands for; what no class names is void."""

    def __len__(self) -> int:
        return len(self.names)

    def truth(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return true ids in which 255, never a class and what most tools write for void, is void."""
        return np.where(mask == 255, np.uint8(self.void_id), mask) if self.void_id != 255 else mask

    def colourise(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Draw class ids ``(H, W)`` as RGB ``(H, W, 3)``; void and ids outside the table are black."""
        palette = np.zeros((256, 1, 3), np.uint8)
        palette[: len(self), 0] = self.colours
        return np.asarray(cv2.applyColorMap(labels, palette), np.uint8)

    def blend(self, image: NDArray[np.uint8], labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Draw class ids, of any size, half transparent over an RGB image ``(H, W, 3)``.

        They are scaled to the image by nearest neighbour; void darkens the image.
        """
        colours, size = self.colourise(labels), image.shape[1::-1]
        if labels.shape[::-1] != size:
            colours = np.asarray(cv2.resize(colours, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        return np.asarray(cv2.addWeighted(image, 0.5, colours, 0.5, 0), np.uint8)

    def ids_of(self, source: ClassTable) -> NDArray[np.uint8]:
        """Return which of these classes each class of a data set's own table belongs to.

        Args:
            source: The table that the data set's label files are written in.

        Returns:
            Shape ``(len(source),)``: an id of this table, or ``len(self)`` for void.

        Raises:
            VssError: Nothing says how these classes come from that table.
        """
        if source.name == self.name:
            return np.arange(len(self), dtype=np.uint8)
        if source.name != self.merged_from:
            raise VssError(
                f'expected classes {source.name}, or a table merged_from it, for a data set that is labelled '
                f'so, got {self.name}; name another table as classes'
            )
        owner = {name: number for number, names in enumerate(self.parts) for name in names}
        unknown = sorted(set(owner) - set(source.names))
        if unknown or len(owner) != sum(map(len, self.parts)):
            what = f'{", ".join(unknown)} besides' if unknown else 'one twice'
            raise VssError(f'expected each part of {self.name} to be a name of {source.name}, got {what}')
        return np.array([owner.get(name, len(self)) for name in source.names], np.uint8)


def load_classes(name_or_path: str | Path) -> ClassTable:
    """Load a class table.

    Args:
        name_or_path: A shipped table (``camvid11``, ``cityscapes19``, ``uavid8`` …) or a YAML file laid out
            like those in ``config/classes``.

    Raises:
        VssError: There is no such table, or the file is not one.
    """
    path = Path(name_or_path)
    if path.suffix not in {'.yaml', '.yml'}:
        folder = resource('config', 'classes')
        path = folder / f'{name_or_path}.yaml'
        if not path.is_file():
            shipped = ', '.join(sorted(file.stem for file in folder.glob('*.yaml')))
            raise VssError(f'expected a class table ({shipped}) or a YAML file, got {str(name_or_path)!r}')
    return _parse(read_yaml(path, 'class table').values, path)


def _parse(table: Any, path: Path) -> ClassTable:
    """Check a table's contents and make it immutable."""
    try:
        names = tuple(str(entry['name']) for entry in table['classes'])
        parts = tuple(tuple(str(part) for part in entry.get('of', ())) for entry in table['classes'])
        values = [[int(value) for value in entry['colour']] for entry in table['classes']]
        void_values = [[int(value) for value in colour] for colour in table.get('void_colours', ())]
        void_id = int(table['void_id'])
        name, merged_from = str(table['name']), str(table.get('merged_from', ''))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise VssError(
            f'expected name, void_id and classes of {{name, colour: [R, G, B]}} in {path}, got {error!r}; '
            f'compare config/classes/camvid11.yaml'
        ) from error
    if not names or len(set(names)) != len(names):
        raise VssError(f'expected at least one class and each name once in {path}, got {list(names)}')
    if any(len(value) != 3 or min(value) < 0 or max(value) > 255 for value in values + void_values):
        raise VssError(f'expected colours of three numbers 0..255 in {path}, got {values + void_values}')
    if not len(names) <= void_id <= 255:
        raise VssError(f'expected void_id of {len(names)} (beyond the ids) to 255 in {path}, got {void_id}')
    if bool(merged_from) != any(parts):
        raise VssError(f'expected merged_from and "of" in {path}, or neither; compare camvid11.yaml')
    colours, void_colours = _colours(values), _colours(void_values)
    return ClassTable(name, names, colours, void_id, void_colours, merged_from, parts)


def _colours(values: list[list[int]]) -> NDArray[np.uint8]:
    colours = np.array(values, np.uint8).reshape(-1, 3)
    colours.flags.writeable = False
    return colours
