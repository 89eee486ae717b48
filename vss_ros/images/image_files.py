"""Pictures in files: read with care, and turned upright where the camera says how it was held."""

from __future__ import annotations

import io
import re
import struct
import warnings
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from vss_ros.files import read_regular
from vss_ros.images.image_decoding import decode_compressed
from vss_ros.images.image_error import ImageError, check_size

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LARGEST: Final = 2**28
"""Bytes of a file: no picture of ``MAX_PIXELS`` has more."""
ORIENTATION: Final = 0x112
"""EXIF's tag."""
_OTHERS: Final = (b'BM', b'II*\0', b'MM\0*', b'RIFF')
_MODES: Final = {'1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'RGBX', 'CMYK', 'YCbCr'}
"""Pillow's names of 8 bits a channel and fewer."""


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
    """Return a PNG, JPEG, BMP, TIFF or WebP as RGB ``(H, W, 3)``, upright.

    Raises:
        ImageError: See ``read_file`` and ``decode_compressed``.
    """
    data = read_file(path)
    if data.startswith(_OTHERS):
        return _decode_other(data)
    image = decode_compressed(data, '')
    return Turn.of_jpeg(data).picture(image)


def _decode_other(data: bytes) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps  # only here: cameras on topics send none of these

    try:
        with (
            warnings.catch_warnings(action='ignore'),
            Image.open(io.BytesIO(data), formats=('BMP', 'TIFF', 'WEBP')) as picture,
        ):
            check_size(picture.height, picture.width)
            if getattr(picture, 'n_frames', 1) != 1 or picture.mode not in _MODES:
                kind = f'{getattr(picture, "n_frames", 1)} pictures of mode {picture.mode}'
                raise ImageError(
                    'format', f'expected a still picture of 8 bits a channel, got {kind}; convert it'
                )
            return np.array(ImageOps.exif_transpose(picture).convert('RGB'))
    except ImageError:
        raise
    except Exception as error:  # Pillow raises many kinds
        raise ImageError(
            'data', f'expected a whole picture, got {len(data)} bytes: {error}; save it anew'
        ) from error


def palette_numbers(data: bytes) -> NDArray[np.uint8]:
    """Return the numbers ``(H, W)`` by which the pixels of a PNG, which has been checked, name colours."""
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=('PNG',)) as picture:
        return np.array(picture, np.uint8)


def natural(path: Path) -> tuple[Any, ...]:
    """Return what files are sorted by: as people count, ``f2`` before ``f10``."""
    words = re.split(r'(\d+)', path.name)
    return (*(int(word) if place % 2 else word for place, word in enumerate(words)), path.name)
