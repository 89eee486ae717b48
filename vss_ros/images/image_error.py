"""Why an image was refused, and the sizes that are accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from vss_ros.errors import VssError

if TYPE_CHECKING:
    from array import array

    import numpy as np
    from numpy.typing import NDArray

ImageData: TypeAlias = 'bytes | bytearray | memoryview | array[int] | NDArray[np.uint8]'
"""What message libraries hold bytes in; anything flat and contiguous."""

MAX_SIDE: Final = 16384
"""Largest width or height accepted, in pixels."""
MAX_PIXELS: Final = 64 * 2**20
"""Largest image accepted, in pixels."""


class ImageError(VssError):
    """An image was refused.

    Attributes:
        reason: Word for counters: ``encoding``, ``step``, ``size``, ``data``, ``truncated`` or ``format``.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def check_size(height: int, width: int) -> None:
    """Refuse a size before anything of it is allocated.

    Raises:
        ImageError: A side of 0 or beyond ``MAX_SIDE``, or more than ``MAX_PIXELS``.
    """
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise ImageError(
            'size',
            f'expected a width and height of 1 to {MAX_SIDE} and at most {MAX_PIXELS} pixels, '
            f'got {width}x{height}; check the camera driver or scale the image down',
        )
