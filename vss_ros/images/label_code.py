"""What the pixels of label files mean: grey values or colours → training ids."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from vss_ros.errors import VssError
from vss_ros.images.classes import load_classes
from vss_ros.images.image_decoding import (
    PNG_GREY,
    PNG_MAGIC,
    PNG_PALETTE,
    check_png,
    decode_compressed,
    decode_image_message,
    decode_mask,
    decode_mask_message,
)
from vss_ros.images.image_error import ImageError
from vss_ros.images.image_files import palette_numbers, read_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from vss_ros.images.classes import ClassTable
    from vss_ros.images.image_error import ImageData

UNKNOWN = -1
COLOURS = frozenset({'rgb8', 'bgr8', 'rgba8', 'bgra8'})
"""Encodings of coloured masks."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelCode:
    """Grey values, colours or both, with the training id each stands for.

    Training ids are a class table's ids, and the number of its classes for void. Files
    may use another id for void; trainings and scores know it as the first id that is no class.
    """

    meaning: str
    """Whose values these are, for messages: ``ids of camvid11``."""
    grey: NDArray[np.int16]
    """Training id of each grey value, shape ``(256,)``; ``UNKNOWN`` where it has none."""
    colours: NDArray[np.int32]
    """Colours as ``R << 16 | G << 8 | B``, ascending, shape ``(K,)``; empty where files have no colours."""
    ids: NDArray[np.int16]
    """Training id of each colour, shape ``(K,)``."""

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Read a label file.

        Returns:
            Training ids, shape ``(H, W)``.

        Raises:
            VssError: It is damaged or missing, is grey where colours were expected or the other way round, or
                has a pixel whose value means nothing: the message names file, pixel and value.
        """
        try:
            data = read_file(path)
            is_grey = data.startswith(PNG_MAGIC) and check_png(data) == PNG_GREY
            if is_grey:
                return self.from_grey(decode_mask(data), str(path))
            return self.from_colours(decode_compressed(data, 'png'), str(path))
        except ImageError as error:
            raise VssError(f'{path}: {error}') from error

    def from_grey(self, values: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
        """Translate grey values ``(H, W)``; ``name`` is for messages."""
        if not (self.grey != UNKNOWN).any():
            raise VssError(f'{name}: expected {self.meaning}, got a grey image; choose another layout')
        return self._checked(self.grey[values], values, name)

    def from_colours(self, values: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
        """Translate an RGB image ``(H, W, 3)``; ``name`` is for messages."""
        if not self.colours.size:
            raise VssError(
                f'{name}: expected {self.meaning} in an 8-bit grey PNG, got a colour or palette image; '
                'choose another layout, or write ids'
            )
        packed = _packed(values)
        places = np.searchsorted(self.colours, packed).clip(max=len(self.colours) - 1)
        found = np.where(self.colours[places] == packed, self.ids[places], np.int16(UNKNOWN))
        return self._checked(found, values, name)

    def _checked(self, found: NDArray[np.int16], values: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
        wrong = found == UNKNOWN
        if wrong.any():
            y, x = (int(place) for place in np.unravel_index(int(wrong.argmax()), wrong.shape))
            kind = 'colour' if values.ndim == 3 else 'value'
            value = tuple(values[y, x].tolist()) if values.ndim == 3 else int(values[y, x])
            raise VssError(
                f'{name}: pixel (x={x}, y={y}) has {kind} {value}, expected {self.meaning}; '
                f'{int(wrong.sum())} such pixels: mend the file, or choose the right class table and layout'
            )
        return found.astype(np.uint8)


def id_code(table: ClassTable, source: str = '') -> LabelCode:
    """Return the code of grey files that hold ids of ``source``, a table's name, by default of ``table``.

    Raises:
        VssError: ``table`` cannot be made from ``source``.
    """
    written = load_classes(source) if source else table
    grey = np.full(256, UNKNOWN, np.int16)
    grey[: len(written)] = table.ids_of(written)
    grey[[written.void_id, 255]] = len(table)  # 255 is what most tools write for void
    return LabelCode(f'ids of {written.name}', grey, np.empty(0, np.int32), np.empty(0, np.int16))


def colour_code(table: ClassTable, source: str) -> LabelCode:
    """Return the code of files in the colours of ``source``, a table's name.

    Raises:
        VssError: ``table`` cannot be made from ``source``, or ``source`` has a colour twice.
    """
    written = load_classes(source) if source != table.name else table
    void = np.full(len(written.void_colours), len(table))
    ids = np.concatenate((table.ids_of(written), void)).astype(np.int16)
    keys = _packed(np.concatenate((written.colours, written.void_colours)))
    if len(np.unique(keys)) != len(keys):
        raise VssError(f'expected each colour once in {written.name}, whose files cannot be read otherwise')
    order = np.argsort(keys)
    return LabelCode(f'colours of {written.name}', np.full(256, UNKNOWN, np.int16), keys[order], ids[order])


def any_code(table: ClassTable) -> LabelCode:
    """Return the code of files that hold a table's own ids (grey) or own colours (colour or palette)."""
    ids = id_code(table)
    try:
        colours = colour_code(table, table.name)
    except VssError:  # tables may draw two classes alike; their files then hold ids only
        return ids
    return LabelCode(f'ids or colours of {table.name}', ids.grey, colours.colours, colours.ids)


@cache
def _code_of(table: ClassTable) -> LabelCode:
    return any_code(table)


def decode_ids(data: ImageData, table: ClassTable | None, name: str) -> NDArray[np.uint8]:
    """Turn the bytes of a mask's PNG into class ids ``(H, W)``.

    Args:
        data: Of a grey PNG, with a table also one in its colours, or of a palette whose numbers are ids.
        table: The classes; void becomes its void id. None: what is grey is taken as it is.
        name: What messages call it.

    Raises:
        ImageError: It is damaged, of another kind, or has a pixel that means nothing.
    """
    if table is None:
        return decode_mask(data)
    blob = np.frombuffer(data, np.uint8).tobytes()
    try:
        return _checked(table, decode_mask(blob), name)
    except ImageError as error:
        if error.reason != 'format' or not blob.startswith(PNG_MAGIC):
            raise
    try:
        return _checked(table, decode_compressed(blob, 'png'), name)
    except ImageError:
        # Tools that number classes by a palette choose its colours themselves.
        if check_png(blob) != PNG_PALETTE:
            raise
    return _checked(table, palette_numbers(blob), name)


def decode_ids_message(message: Any, table: ClassTable | None, name: str) -> NDArray[np.uint8]:
    """Turn a sensor_msgs/Image or CompressedImage into class ids; otherwise as ``decode_ids``."""
    if hasattr(message, 'format'):
        return decode_ids(message.data, table, name)
    if table is None or message.encoding not in COLOURS:
        pixels = decode_mask_message(message)
        return pixels if table is None else _checked(table, pixels, name)
    return _checked(table, decode_image_message(message), name)


def _checked(table: ClassTable, pixels: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """Return ids, void as the table has it, of ids or colours."""
    code = _code_of(table)
    try:
        ids = code.from_grey(pixels, name) if pixels.ndim == 2 else code.from_colours(pixels, name)
    except VssError as error:
        raise ImageError('data', str(error)) from error
    return np.where(ids == len(table), np.uint8(table.void_id), ids)


def _packed(colours: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return RGB colours ``(..., 3)`` as one number each."""
    wide = colours.astype(np.int32)
    return np.asarray(wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2], np.int32)
