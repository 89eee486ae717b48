"""Pixels of a sensor_msgs/Image, in the encodings that robots' cameras have, to RGB or class ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import cv2
import numpy as np

from vss_ros.images.image_error import ImageError, check_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from vss_ros.images.image_error import ImageData

SMALLEST_MOSAIC: Final = 4
"""Least height and width of a Bayer image: OpenCV looks at neighbours."""


class _Raw(NamedTuple):
    """How the pixels of an encoding lie."""

    channels: int
    to_rgb: int | None
    """OpenCV's conversion."""
    octets: int = 1
    """Bytes of a value."""
    even: tuple[int, int] = (1, 1)
    """What height and width are multiples of."""
    rows: float = 1.0
    """Rows of data for each row of the image."""


_BAYER: Final = {
    'bayer_rggb': cv2.COLOR_BayerRGGB2RGB,
    'bayer_bggr': cv2.COLOR_BayerBGGR2RGB,
    'bayer_gbrg': cv2.COLOR_BayerGBRG2RGB,
    'bayer_grbg': cv2.COLOR_BayerGRBG2RGB,
}
_COLOURS: Final = {
    'rgb': (3, None),
    'bgr': (3, cv2.COLOR_BGR2RGB),
    'rgba': (4, cv2.COLOR_RGBA2RGB),
    'bgra': (4, cv2.COLOR_BGRA2RGB),
    'mono': (1, cv2.COLOR_GRAY2RGB),
}
_UYVY = _Raw(2, cv2.COLOR_YUV2RGB_UYVY, even=(1, 2))
_YUYV = _Raw(2, cv2.COLOR_YUV2RGB_YUY2, even=(1, 2))
_RAW: Final = {
    **{f'{name}{8 * n}': _Raw(*kind, octets=n) for n in (1, 2) for name, kind in _COLOURS.items()},
    **{f'{name}{8 * n}': _Raw(1, code, n, (2, 2)) for n in (1, 2) for name, code in _BAYER.items()},
    '8UC1': _Raw(1, cv2.COLOR_GRAY2RGB),
    '8UC3': _Raw(3, cv2.COLOR_BGR2RGB),  # OpenCV's own order, which drivers that say so have
    '8UC4': _Raw(4, cv2.COLOR_BGRA2RGB),
    'yuv422': _UYVY,
    'uyvy': _UYVY,
    'yuv422_yuy2': _YUYV,
    'yuyv': _YUYV,
    'nv12': _Raw(1, cv2.COLOR_YUV2RGB_NV12, even=(2, 2), rows=1.5),
    'nv21': _Raw(1, cv2.COLOR_YUV2RGB_NV21, even=(2, 2), rows=1.5),
}
_MASKS: Final = {name: _RAW[name] for name in ('mono8', 'mono16', '8UC1')} | {'16UC1': _Raw(1, None, 2)}


def decode_raw(
    data: ImageData, height: int, width: int, encoding: str, step: int, *, big_endian: bool = False
) -> NDArray[np.uint8]:
    """Turn the pixels of a sensor_msgs/Image into RGB.

    Args:
        data: The message's ``data``; exactly ``step * height`` bytes (NV12, NV21: half as many again).
        height: Rows.
        width: Columns.
        encoding: One of ``_RAW``; YUV is taken as BT.601 of limited range, as OpenCV and cv_bridge take it.
        step: Bytes from one row to the next, at least ``width`` times those of a pixel.
        big_endian: Order of the bytes of 16-bit values.

    Returns:
        RGB image, shape ``(height, width, 3)``, C-contiguous. For ``rgb8`` without padding this is a view of
        ``data`` (no copy): it keeps ``data`` alive, shows later changes to it, and must not be written to.

    Raises:
        ImageError: Anything contradicts anything else.
    """
    pixels = _view(data, height, width, encoding, step, _RAW, '>' if big_endian else '<')
    kind = _RAW[encoding]
    if kind.octets == 2:
        whole = pixels.astype(np.uint16)
        pixels = np.asarray(cv2.convertScaleAbs(whole, alpha=255 / 65535), np.uint8).reshape(pixels.shape)
    if kind.to_rgb is None:
        return np.ascontiguousarray(pixels)
    return np.asarray(cv2.cvtColor(pixels, kind.to_rgb), np.uint8)


def decode_raw_mask(
    data: ImageData, height: int, width: int, encoding: str, step: int, *, big_endian: bool = False
) -> NDArray[np.uint8]:
    """Turn a mono8, mono16 (or 8UC1, 16UC1) sensor_msgs/Image into class ids; arguments: ``decode_raw``.

    Returns:
        Class ids, shape ``(height, width)``, C-contiguous; a view of ``data`` where rows are not padded.

    Raises:
        ImageError: Anything contradicts anything else.
    """
    return ids_of(_view(data, height, width, encoding, step, _MASKS, '>' if big_endian else '<')[..., 0])


def ids_of(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return class ids ``(H, W)`` as bytes."""
    if pixels.dtype.itemsize > 1 and pixels.max() > 255:
        y, x = np.unravel_index(pixels.argmax(), pixels.shape)
        raise ImageError('data', f'expected class ids up to 255, got {pixels.max()} at pixel (x={x}, y={y})')
    return np.ascontiguousarray(pixels, np.uint8)


def demosaiced(image: NDArray[np.uint8], encoding: str) -> NDArray[np.uint8]:
    """Return the colours of a mosaic that was compressed as if it were grey."""
    kind = _RAW.get(encoding)
    if kind is None or (image[..., :1] != image).any() or min(image.shape[:2]) < SMALLEST_MOSAIC:
        raise ImageError(
            'encoding', f'expected a grey picture of a known mosaic, got {encoding!r}; demosaic it before'
        )
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image[..., 0]), kind.to_rgb or 0), np.uint8)


def _view(
    data: ImageData,
    height: int,
    width: int,
    encoding: str,
    step: int,
    encodings: Mapping[str, _Raw],
    order: str = '<',
) -> NDArray[Any]:
    """Check a raw image and lay a view of shape ``(rows, width, channels)`` over it."""
    kind = encodings.get(encoding)
    if kind is None:
        raise ImageError(
            'encoding',
            f'expected encoding {", ".join(encodings)}, got {encoding!r}; convert it with image_proc',
        )
    check_size(height, width)
    tall, wide = kind.even
    if (
        height % tall
        or width % wide
        or (encoding.startswith('bayer') and min(height, width) < SMALLEST_MOSAIC)
    ):
        raise ImageError(
            'size',
            f'expected an even size for {encoding}, got {width}x{height}; let the camera crop otherwise',
        )
    pixel = kind.channels * kind.octets
    if step < width * pixel:
        raise ImageError(
            'step',
            f'expected a step of at least {width * pixel} bytes ({width} pixels of {encoding}), '
            f'got {step}; set step to width times channels',
        )
    octets, rows = np.frombuffer(data, np.uint8), int(height * kind.rows)
    if octets.size != step * rows:
        raise ImageError(
            'data',
            f'expected {step * rows} bytes (step {step} x {rows} rows), got {octets.size}; '
            f'the sender must fill data, step and height alike',
        )
    dtype, strides = np.dtype(f'{order}u{kind.octets}'), (step, pixel, kind.octets)
    return np.ndarray((rows, width, kind.channels), dtype, buffer=octets, strides=strides)
