"""Class tables: which id means what, and in which colour it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import yaml

from vss_ros.errors import VssError
from vss_ros.resources import resource

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

    def __len__(self) -> int:
        """Number of classes, without void."""
        return len(self.names)

    def colourise(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Draw a label image.

        Args:
            labels: Class ids, shape ``(H, W)``.

        Returns:
            RGB image, shape ``(H, W, 3)``; void and ids outside the table are black.
        """
        palette = np.zeros((256, 1, 3), np.uint8)
        palette[: len(self), 0] = self.colours
        return np.asarray(cv2.applyColorMap(labels, palette), np.uint8)


def load_classes(name_or_path: str | Path) -> ClassTable:
    """Load a class table.

    Args:
        name_or_path: A shipped table (``camvid11``, ``cityscapes19``, ``uavid8``) or a YAML file laid out
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
    try:
        return _parse(yaml.safe_load(path.read_text(encoding='utf-8')), path)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise VssError(f'expected a readable class table, got {path}: {error}') from error


def _parse(table: Any, path: Path) -> ClassTable:
    """Check a table's contents and make it immutable."""
    try:
        names = tuple(str(entry['name']) for entry in table['classes'])
        values = [[int(value) for value in entry['colour']] for entry in table['classes']]
        void_id = int(table['void_id'])
        name = str(table['name'])
    except (KeyError, TypeError, ValueError) as error:
        raise VssError(
            f'expected name, void_id and classes of {{name, colour: [R, G, B]}} in {path}, got {error!r}; '
            f'compare config/classes/camvid11.yaml'
        ) from error
    if not names or len(set(names)) != len(names):
        raise VssError(f'expected at least one class and each name once in {path}, got {list(names)}')
    if any(len(value) != 3 or min(value) < 0 or max(value) > 255 for value in values):
        raise VssError(f'expected colours of three numbers 0..255 in {path}, got {values}')
    if not len(names) <= void_id <= 255:
        raise VssError(f'expected void_id of {len(names)} (beyond the ids) to 255 in {path}, got {void_id}')
    colours = np.array(values, np.uint8)
    colours.flags.writeable = False
    return ClassTable(name, names, colours, void_id)
