"""Pictures in files: read with care, and turned upright where the camera says how it was held."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from vss_ros.files import read_regular
from vss_ros.images.image_decoding import decode_compressed
from vss_ros.images.image_error import ImageError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LARGEST: Final = 2**28
"""Bytes of a file: no picture of ``MAX_PIXELS`` has more."""
ORIENTATION: Final = 0x112
"""EXIF's tag."""


class Turn(NamedTuple):
    """How a stored picture becomes upright, in this order; one of eight."""

    transposed: bool = False
    mirrored: bool = False
    """Left and right are exchanged."""
    flipped: bool = False
    """Top and bottom are exchanged."""

    @classmethod
    def of_matrix(cls, matrix: bytes) -> Turn:
        """Return that of a video's display matrix, as FFmpeg hands it out; other angles are left alone."""
        a, b, _, c, d, *_ = struct.unpack('=9i', matrix)
        if a == d == 0 and b and c:
            return cls(transposed=True, mirrored=c < 0, flipped=b < 0)
        return cls(mirrored=a < 0, flipped=d < 0) if b == c == 0 else cls()

    @classmethod
    def of_jpeg(cls, data: bytes) -> Turn:
        """Return that of a JPEG's EXIF Orientation."""
        start = data.find(b'Exif\0\0', 0, 2**16) + 6
        order = '<' if data[start : start + 2] == b'II' else '>'
        try:
            (place,) = struct.unpack_from(f'{order}I', data, start + 4)
            (count,) = struct.unpack_from(f'{order}H', data, start + place)
            for entry in range(start + place + 2, start + place + 2 + 12 * count, 12):
                tag, _, _, value = struct.unpack_from(f'{order}HHIH', data, entry)
                if tag == ORIENTATION and start >= 6:
                    return cls(value in {5, 6, 7, 8}, value in {2, 3, 6, 7}, value in {3, 4, 7, 8})
        except struct.error:
            pass
        return cls()

    def picture(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Turn pixels ``(H, W, …)``."""
        if self.transposed:
            pixels = pixels.swapaxes(0, 1)
        pixels = pixels[:, ::-1] if self.mirrored else pixels
        return np.ascontiguousarray(pixels[::-1] if self.flipped else pixels)

    def vectors(self, rows: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
        """Turn rows of ``CodecFrame`` with a picture that is so large afterwards."""
        if not any(self):
            return rows
        turned = rows[:, [1, 0, 3, 2, 5, 4]] if self.transposed else rows.copy()
        for wanted, axis, size in ((self.mirrored, 0, width), (self.flipped, 1, height)):
            if wanted:
                turned[:, axis] = size - turned[:, axis] - turned[:, axis + 2]
                turned[:, axis + 4] *= -1
        return turned


def read_file(path: Path, count: int = -1) -> bytes:
    """Return the bytes of a picture's file, or the first of them.

    Raises:
        ImageError: It is none (a folder, a pipe, a device, a link to nothing), too large or cannot be read.
    """
    try:
        return read_regular(path, LARGEST, count)
    except OSError as error:
        raise ImageError('data', f'{path}: cannot be read ({error.strerror}); restore it') from error


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return a PNG or JPEG as RGB ``(H, W, 3)``, upright.

    Raises:
        ImageError: See ``read_file`` and ``decode_compressed``.
    """
    data = read_file(path)
    image = decode_compressed(data, '')
    return Turn.of_jpeg(data).picture(image)


def natural(path: Path) -> tuple[Any, ...]:
    """Return what files are sorted by: as people count, ``f2`` before ``f10``."""
    words = re.split(r'(\d+)', path.name)
    return (*(int(word) if place % 2 else word for place, word in enumerate(words)), path.name)
