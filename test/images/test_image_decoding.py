"""Hundreds of corruptions: an image is decoded right or refused with a reason, never anything else."""

from __future__ import annotations

import array
import struct
import zlib

import cv2
import numpy as np
import pytest

from vss_ros.images.image_decoding import decode_compressed, decode_mask
from vss_ros.images.image_error import ImageError
from vss_ros.images.raw_decoding import decode_raw, decode_raw_mask

REASONS = {'encoding', 'step', 'size', 'data', 'truncated', 'format'}
ENCODINGS = {'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, 'mono8': 1}


def picture(height: int = 90, width: int = 120) -> np.ndarray:
    """A picture with smooth and busy parts, RGB."""
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).integers(0, 60, (height, width))
    return np.stack([x * 2 % 256, y * 2 % 256, (x + y + noise) % 256], axis=2).astype(np.uint8)


def jpeg(image: np.ndarray, *flags: int) -> bytes:
    return cv2.imencode('.jpg', image[..., ::-1] if image.ndim == 3 else image, list(flags))[1].tobytes()


def png(image: np.ndarray) -> bytes:
    return cv2.imencode('.png', image[..., ::-1] if image.ndim == 3 else image)[1].tobytes()


def png_of(header: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """Put a PNG together with right checksums."""
    blob = b'\x89PNG\r\n\x1a\n'
    for kind, data in ((b'IHDR', header), *chunks, (b'IEND', b'')):
        blob += struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    return blob


def refused(blob: bytes, format_name: str = '') -> str:
    with pytest.raises(ImageError, match='expected') as caught:
        decode_compressed(blob, format_name)
    assert caught.value.reason in REASONS
    return caught.value.reason


@pytest.mark.parametrize('encoding', ENCODINGS)
@pytest.mark.parametrize('padding', [0, 1, 7])
@pytest.mark.parametrize('size', [(1, 1), (1, 5), (5, 1), (48, 64)])
def test_raw_encodings_and_steps(encoding: str, padding: int, size: tuple[int, int]) -> None:
    height, width = size
    channels = ENCODINGS[encoding]
    step = width * channels + padding
    rows = np.random.default_rng(1).integers(0, 256, (height, step), np.uint8)
    pixels = rows[:, : width * channels].reshape(height, width, channels)
    wanted = {
        'rgb8': pixels,
        'bgr8': pixels[..., ::-1],
        'rgba8': pixels[..., :3],
        'bgra8': pixels[..., 2::-1],
        'mono8': np.repeat(pixels, 3, axis=2),
    }[encoding]
    for data in (rows.tobytes(), array.array('B', rows.tobytes()), rows.reshape(-1)):
        image = decode_raw(data, height, width, encoding, step)
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous
        assert np.array_equal(image, wanted)


def test_tight_rgb8_is_a_view() -> None:
    data = array.array('B', bytes(48 * 64 * 3))
    assert np.shares_memory(decode_raw(data, 48, 64, 'rgb8', 192), np.frombuffer(data, np.uint8))


@pytest.mark.parametrize(
    ('reason', 'length', 'height', 'width', 'encoding', 'step'),
    [
        ('size', 0, 0, 4, 'rgb8', 12),
        ('size', 0, 4, 0, 'rgb8', 0),
        ('size', 0, -1, 4, 'rgb8', 12),
        ('size', 48, 4, 2**32 - 1, 'rgb8', 12),
        ('size', 48, 16385, 1, 'rgb8', 3),
        ('size', 48, 16384, 16384, 'mono8', 16384),
        ('step', 48, 4, 4, 'rgb8', 11),
        ('step', 0, 4, 4, 'rgb8', 0),
        ('step', 48, 4, 4, 'rgba8', 12),
        ('data', 47, 4, 4, 'rgb8', 12),
        ('data', 49, 4, 4, 'rgb8', 12),
        ('data', 0, 4, 4, 'rgb8', 12),
        ('data', 48, 4, 4, 'rgb8', 2**32 - 1),
        ('encoding', 48, 4, 4, 'RGB8', 12),
        ('encoding', 48, 4, 4, '', 12),
        ('encoding', 48, 4, 4, 'yuv444', 12),
        ('encoding', 48, 4, 4, '16UC1', 12),
        ('encoding', 48, 4, 4, 'bayer_rgbg8', 12),
        ('size', 60, 4, 5, 'yuv422', 12),
        ('size', 60, 5, 4, 'nv12', 8),
        ('size', 16, 2, 4, 'bayer_rggb8', 8),
        ('step', 48, 4, 4, 'rgb16', 12),
        ('data', 16, 4, 4, 'nv12', 4),
    ],
)
def test_malformed_raw_images(
    reason: str, length: int, height: int, width: int, encoding: str, step: int
) -> None:
    with pytest.raises(ImageError, match=r'expected .* got') as caught:
        decode_raw(bytes(length), height, width, encoding, step)
    assert caught.value.reason == reason


def test_random_raw_headers_never_crash() -> None:
    rng = np.random.default_rng(2)
    data = bytes(3000)
    for _ in range(300):
        choices = [0, 1, 10, 30, 100, 2**31, int(rng.integers(200))]
        height, width, step = (int(value) for value in rng.choice(choices, 3))
        encoding = str(rng.choice([*ENCODINGS, 'nv24']))
        fits = (
            encoding in ENCODINGS and height > 0 and width > 0 and step >= width * ENCODINGS[encoding]
        ) and step * height == len(data)
        try:
            assert decode_raw(data, height, width, encoding, step).shape == (height, width, 3)
            assert fits
        except ImageError:
            assert not fits


@pytest.mark.parametrize('format_name', ['jpeg', 'jpg', '', 'rgb8; jpeg compressed bgr8', 'mono8; jpeg'])
def test_jpeg_of_every_kind(format_name: str) -> None:
    image = picture()
    for flags in ((), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 4)):
        decoded = decode_compressed(jpeg(image, *flags), format_name)
        assert decoded.shape == image.shape
        assert np.abs(decoded.astype(int) - image).mean() < 12
    assert decode_compressed(jpeg(image[..., 0]), format_name).shape == image.shape


@pytest.mark.parametrize('format_name', ['png', '', 'rgb8; png compressed bgr8', 'PNG'])
def test_png_is_exact(format_name: str) -> None:
    image = picture()
    assert np.array_equal(decode_compressed(array.array('B', png(image)), format_name), image)
    assert np.array_equal(decode_compressed(png(image[..., 0]), format_name)[..., 2], image[..., 0])
    alpha = np.dstack([image[..., ::-1], np.full(image.shape[:2], 9, np.uint8)])
    assert np.array_equal(decode_compressed(cv2.imencode('.png', alpha)[1].tobytes(), 'png'), image)


def test_image_transports_swapped_channels() -> None:
    image = picture()
    assert np.array_equal(decode_compressed(png(image[..., ::-1]), 'rgb8; png compressed rgb8'), image)


def test_truncated_and_patched_jpegs_are_refused() -> None:
    for flags in ((), (cv2.IMWRITE_JPEG_RST_INTERVAL, 4)):
        blob = jpeg(picture(), *flags)
        rng = np.random.default_rng(3)
        start = blob.index(b'\xff\xda') + 20
        for _ in range(100):
            end = int(rng.integers(start, len(blob) - 40))
            assert refused(blob[:end]) == 'truncated'
            assert refused(blob[:end] + b'\xff\xd9') == 'data'
            assert refused(blob[:end] + bytes(200)) in {'data', 'truncated'}
        for end in range(0, start, 7):
            refused(blob[:end])


def test_most_jpegs_with_lost_bytes_are_refused() -> None:
    blob = jpeg(picture(200, 300))
    rng = np.random.default_rng(4)
    start = blob.index(b'\xff\xda') + 20
    noticed = 0
    for _ in range(100):
        at, lost = int(rng.integers(start, len(blob) - 600)), int(rng.integers(200, 500))
        try:
            decode_compressed(blob[:at] + blob[at + lost :], 'jpeg')
        except ImageError:
            noticed += 1
    # JPEG has no checksum: now and then the rest happens to decode.
    assert noticed >= 85


def test_random_damage_never_crashes_and_never_changes_the_size_unseen() -> None:
    rng = np.random.default_rng(5)
    for blob in (jpeg(picture()), png(picture())):
        for _ in range(300):
            damaged = bytearray(blob)
            for _ in range(int(rng.integers(1, 6))):
                damaged[int(rng.integers(len(blob)))] = int(rng.integers(256))
            try:
                image = decode_compressed(bytes(damaged), '')
            except ImageError:
                continue
            else:
                assert image.ndim == 3
                assert image.flags.c_contiguous
                if blob.startswith(b'\x89PNG'):
                    assert np.array_equal(image, picture())


def test_truncated_pngs_are_refused() -> None:
    blob = png(picture())
    for end in range(8, len(blob) - 1, max(1, len(blob) // 200)):
        assert refused(blob[:end]) == 'truncated'


def test_pngs_with_right_checksums_and_wrong_pixels_are_refused() -> None:
    header = struct.pack('>IIBBBBB', 60, 40, 8, 2, 0, 0, 0)
    rows = b''.join(b'\0' + bytes(180) for _ in range(40))
    assert decode_compressed(png_of(header, (b'IDAT', zlib.compress(rows))), 'png').shape == (40, 60, 3)
    for pixels in (rows[:-500], b'\x09' + rows[1:]):
        refused(png_of(header, (b'IDAT', zlib.compress(pixels))))
    refused(png_of(header, (b'IDAT', zlib.compress(rows)[:-8])))
    refused(png_of(header, (b'IDAT', b'')))


def test_bombs_are_refused_before_decoding() -> None:
    huge = png_of(struct.pack('>IIBBBBB', 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0), (b'IDAT', b'x'))
    assert refused(huge) == 'size'
    blob = bytearray(jpeg(picture()))
    at = blob.index(b'\xff\xc0') + 5
    blob[at : at + 4] = b'\xf0\x00\xf0\x00'
    assert refused(bytes(blob)) == 'size'


@pytest.mark.parametrize('image', [np.zeros((4, 4), np.uint16), np.zeros((4, 4, 3), np.uint16)])
def test_16_bit_pngs_are_refused(image: np.ndarray) -> None:
    assert refused(cv2.imencode('.png', image)[1].tobytes(), 'png') == 'format'


@pytest.mark.parametrize('format_name', ['tiff', '16UC1; compressedDepth png', 'h264', 'jpeg2000 or so; png'])
def test_other_formats_are_refused(format_name: str) -> None:
    blob = jpeg(picture()) if 'png' in format_name else b'II*\0'
    assert refused(blob, format_name) == 'format'


def test_wrong_contents_are_refused() -> None:
    assert refused(b'') == 'data'
    assert refused(b'hello', 'jpeg') == 'data'
    assert refused(png(picture()), 'jpeg') == 'format'
    assert refused(jpeg(picture()), 'png') == 'format'


def test_masks_keep_their_ids() -> None:
    ids = (picture()[..., 0] % 12).astype(np.uint8)
    assert np.array_equal(decode_mask(png(ids)), ids)
    assert np.array_equal(decode_raw_mask(ids.tobytes(), 90, 120, 'mono8', 120), ids)
    wide = ids.astype('>u2')
    assert np.array_equal(decode_raw_mask(wide.tobytes(), 90, 120, '16UC1', 240, big_endian=True), ids)
    assert np.array_equal(decode_raw_mask(ids.astype('<u2').tobytes(), 90, 120, 'mono16', 240), ids)
    alpha = np.full_like(ids, 255)
    for tool in (np.dstack([ids] * 3), np.dstack([ids, ids, ids, alpha]), ids.astype(np.uint16)):
        assert np.array_equal(decode_mask(cv2.imencode('.png', tool)[1].tobytes()), ids)


def test_what_would_change_ids_is_refused() -> None:
    ids = (picture()[..., 0] % 12).astype(np.uint8)
    palette = png_of(
        struct.pack('>IIBBBBB', 2, 2, 8, 3, 0, 0, 0),
        (b'PLTE', bytes(range(9))),
        (b'IDAT', zlib.compress(b'\0\1\2\0\1\2')),
    )
    beyond = cv2.imencode('.png', ids.astype(np.uint16) + 250)[1].tobytes()
    for blob in (jpeg(ids), png(picture()), palette, png(ids)[:-20], beyond):
        with pytest.raises(ImageError, match='expected'):
            decode_mask(blob)
    with pytest.raises(ImageError, match='rgb8'):
        decode_raw_mask(bytes(48), 4, 4, 'rgb8', 12)
