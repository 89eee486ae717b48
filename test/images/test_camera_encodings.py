"""What robots' cameras send, against formulas written down here; nothing of OpenCV is asked."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vss_ros.images.image_decoding import decode_compressed
from vss_ros.images.image_error import ImageError
from vss_ros.images.raw_decoding import decode_raw

HEIGHT, WIDTH = 24, 32


def scene() -> np.ndarray:
    """A smooth picture in colour, RGB, float."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([40 + 5 * x, 60 + 6 * y, 200 - 3 * x - 2 * y], axis=2).astype(float)


def padded(rows: np.ndarray, padding: int) -> tuple[bytes, int]:
    """Return rows of bytes with more at the end of each, and the step."""
    wide = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    return wide.astype(np.uint8).tobytes(), wide.shape[1]


def yuv(rgb: np.ndarray) -> np.ndarray:
    """BT.601, limited range: Y 16 to 235, U and V 16 to 240."""
    r, g, b = np.moveaxis(rgb / 255, 2, 0)
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    values = 16 + 219 * luma, 128 + 224 * (b - luma) / 1.772, 128 + 224 * (r - luma) / 1.402
    rounded: np.ndarray = np.rint(np.stack(values, axis=2))
    return rounded


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize(
    ('encoding', 'places'),
    [('yuv422', 'uyvy'), ('uyvy', 'uyvy'), ('yuv422_yuy2', 'yuyv'), ('yuyv', 'yuyv')],
)
def test_two_pixels_share_colours(encoding: str, places: str, padding: int) -> None:
    planes = yuv(scene())
    values = {
        'u': [planes[:, ::2, 1]],
        'v': [planes[:, ::2, 2]],
        'y': [planes[:, ::2, 0], planes[:, 1::2, 0]],
    }
    rows = np.stack([values[place].pop(0) for place in places], axis=2).reshape(HEIGHT, -1)
    data, step = padded(rows, padding)
    image = decode_raw(data, HEIGHT, WIDTH, encoding, step)
    assert np.abs(image - scene())[:, ::2].max() <= 3  # the other pixels have their neighbour's colour
    assert np.abs(image - scene()).max() <= 8


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize(('encoding', 'first', 'second'), [('nv12', 1, 2), ('nv21', 2, 1)])
def test_a_plane_of_luma_and_one_of_colour(encoding: str, first: int, second: int, padding: int) -> None:
    planes = yuv(scene())
    colours = np.stack([planes[::2, ::2, first], planes[::2, ::2, second]], axis=2).reshape(HEIGHT // 2, -1)
    data, step = padded(np.concatenate([planes[..., 0], colours]), padding)
    image = decode_raw(data, HEIGHT, WIDTH, encoding, step)
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(image - scene())[::2, ::2].max() <= 3


def mosaic(pattern: str) -> np.ndarray:
    """What a sensor sees behind a filter, by the letters of its upper left four cells."""
    seen = np.empty((HEIGHT, WIDTH))
    for place, letter in enumerate(pattern):
        y, x = divmod(place, 2)
        seen[y::2, x::2] = scene()[y::2, x::2, 'rgb'.index(letter)]
    return seen


@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_mosaics(pattern: str, bits: int, big_endian: bool) -> None:
    kind = '>u2' if big_endian else '<u2'
    seen = mosaic(pattern).astype(np.uint8) if bits == 8 else (mosaic(pattern) * 257).astype(kind)
    image = decode_raw(
        seen.tobytes(), HEIGHT, WIDTH, f'bayer_{pattern}{bits}', WIDTH * bits // 8, big_endian=big_endian
    )
    # A plane's missing values are the means of their neighbours: exact where the picture is linear.
    assert np.abs(image - scene())[1:-1, 1:-1].max() <= 1


@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize('encoding', ['mono16', 'rgb16', 'bgr16', 'rgba16', 'bgra16'])
def test_sixteen_bits_keep_the_upper_ones(encoding: str, big_endian: bool) -> None:
    rgb = np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH, 3))
    rgb[0, :2] = 0, 65535, 257
    alpha = np.full((HEIGHT, WIDTH, 1), 9)
    order = {'m': rgb[..., :1], 'r': rgb, 'b': rgb[..., ::-1]}[encoding[0]]
    sent = np.concatenate([order, alpha], axis=2) if 'a1' in encoding else order
    data = sent.astype('>u2' if big_endian else '<u2').tobytes()
    image = decode_raw(data, HEIGHT, WIDTH, encoding, 2 * WIDTH * sent.shape[2], big_endian=big_endian)
    wanted = rgb[..., :1] if encoding == 'mono16' else rgb
    assert np.abs(image - wanted / 257).max() <= 0.5 + 1e-6


def test_opencvs_own_names() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)
    for name, channels in (('8UC1', 1), ('8UC3', 3), ('8UC4', 4)):
        sent = np.ascontiguousarray(pixels[..., :channels])
        image = decode_raw(sent.tobytes(), HEIGHT, WIDTH, name, WIDTH * channels)
        assert np.array_equal(image, sent.repeat(3, 2) if channels == 1 else pixels[..., 2::-1])


def test_a_jpeg_of_a_mosaic_is_demosaiced_or_refused() -> None:
    blob = cv2.imencode('.png', mosaic('grbg').astype(np.uint8))[1].tobytes()
    image = decode_compressed(blob, 'bayer_grbg8; png compressed ')
    assert np.abs(image - scene())[1:-1, 1:-1].max() <= 1
    with pytest.raises(ImageError, match='mosaic'):
        decode_compressed(blob, 'bayer_rgbw8; png compressed ')
    colour = cv2.imencode('.png', scene().astype(np.uint8)[..., ::-1])[1].tobytes()
    assert np.array_equal(
        decode_compressed(colour, 'bayer_grbg8; png compressed bgr8'), scene().astype(np.uint8)
    )
