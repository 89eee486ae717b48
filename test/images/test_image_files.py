"""Pictures in files: turned upright in all eight ways, motion too; what is no picture's file is refused."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import simplejpeg
from video_parts import panned, write_video

from vss_ros.datasets.listing import image_size
from vss_ros.images.image_decoding import decode_compressed
from vss_ros.images.image_error import ImageError
from vss_ros.images.image_files import LARGEST, Turn, read_file, read_image
from vss_ros.recordings.open import open_source
from vss_ros.recordings.source import files_in

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

WAYS = range(1, 9)
UPRIGHT = np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40, np.ones((16, 16), np.uint8))


def stored(way: int) -> NDArray[np.uint8]:
    """Return what a camera stores that says EXIF Orientation ``way`` of an upright picture.

    By the standard's words: where the stored picture's first row and first column are.
    """
    ways = {
        1: UPRIGHT,  # top, left
        2: UPRIGHT[:, ::-1],  # top, right
        3: UPRIGHT[::-1, ::-1],  # bottom, right
        4: UPRIGHT[::-1],  # bottom, left
        5: UPRIGHT.T,  # left, top
        6: UPRIGHT.T[::-1],  # right, top
        7: UPRIGHT.T[::-1, ::-1],  # right, bottom
        8: UPRIGHT.T[:, ::-1],  # left, bottom
    }
    return np.ascontiguousarray(ways[way])


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('way', WAYS)
def test_exif_orientation(way: int, order: str, tmp_path: Path) -> None:
    jpeg = simplejpeg.encode_jpeg(stored(way)[..., None], 100, 'GRAY', '444')
    head = (b'II*\0' if order == '<' else b'MM\0*') + struct.pack(f'{order}IH', 8, 1)
    exif = b'Exif\0\0' + head + struct.pack(f'{order}HHIHHI', 0x112, 3, 1, way, 0, 0)
    path = tmp_path / 'photo.jpg'
    path.write_bytes(jpeg[:2] + b'\xff\xe1' + struct.pack('>H', len(exif) + 2) + exif + jpeg[2:])
    assert np.abs(read_image(path)[..., 0].astype(int) - UPRIGHT).max() <= 2
    assert image_size(path) == UPRIGHT.shape
    with open_source(tmp_path) as source:
        assert [frame.image.shape[:2] for frame, _ in source] == [UPRIGHT.shape]


@pytest.mark.parametrize(
    ('matrix', 'way'),
    [
        ((1, 0, 0, 1), 1), ((-1, 0, 0, 1), 2), ((-1, 0, 0, -1), 3), ((1, 0, 0, -1), 4),
        ((0, 1, 1, 0), 5), ((0, 1, -1, 0), 6), ((0, -1, -1, 0), 7), ((0, -1, 1, 0), 8),
    ],
)  # fmt: skip
def test_a_video_is_turned_as_its_container_says(
    matrix: tuple[int, int, int, int], way: int, tmp_path: Path
) -> None:
    path = write_video(tmp_path / 'phone.mp4', panned(4), 'mpeg4')
    with open_source(path) as source:
        plain = [frame for frame, _ in source]
    blob = bytearray(path.read_bytes())
    a, b, c, d = (number << 16 for number in matrix)
    place = blob.index(b'tkhd') + 44
    blob[place : place + 36] = struct.pack('>9i', a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(blob)
    turn = Turn(way in {5, 6, 7, 8}, way in {2, 3, 6, 7}, way in {3, 4, 7, 8})
    assert np.array_equal(turn.picture(stored(way)), UPRIGHT)
    with open_source(path) as source:
        turned = [frame for frame, _ in source]
    for before, after in zip(plain, turned, strict=True):
        assert np.array_equal(after.image, turn.picture(before.image))
    codec = turned[2].codec
    assert codec is not None
    assert codec.vectors is not None
    # The window moves (3, 2) a frame; a turn moves where that leads.
    moved = np.zeros((5, 5))
    moved[2, 2] = 1
    leads = np.zeros((9, 9))
    leads[4 + 2, 4 + 3] = 1
    ((y, x),) = np.argwhere(turn.picture(leads)) - 4
    assert np.median(codec.vectors[:, 4:], 0).tolist() == [x, y]
    height, width = turned[2].image.shape[:2]
    assert (codec.vectors[:, :2] >= 0).all()
    assert (codec.vectors[:, 0] + codec.vectors[:, 2] <= width).all()
    assert (codec.vectors[:, 1] + codec.vectors[:, 3] <= height).all()


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    (tmp_path / 'a.png').mkdir()
    os.mkfifo(tmp_path / 'b.png')
    (tmp_path / 'c.png').symlink_to('nowhere')
    (tmp_path / 'd.png').symlink_to('/dev/zero')
    with (tmp_path / 'e.png').open('wb') as file:
        file.truncate(LARGEST + 1)
    for path in files_in(tmp_path):
        with pytest.raises(ImageError):
            read_file(path)
    cv2.imwrite(str(tmp_path / 'f.png'), UPRIGHT)
    with open_source(tmp_path, on_reject=lambda *_: None) as source:
        assert len(list(source)) == 1
        assert source.rejected == 5


def test_files_are_counted_as_people_do(tmp_path: Path) -> None:
    for name in ('f10', 'f2', 'f1', 'g', 'f02'):
        (tmp_path / f'{name}.png').touch()
    assert [path.stem for path in files_in(tmp_path)] == ['f1', 'f02', 'f2', 'f10', 'g']


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    jpeg = cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_PROGRESSIVE, 1))[1].tobytes()
    assert decode_compressed(jpeg, '').shape == image.shape
    scan = jpeg[jpeg.rindex(b'\xff\xda') : -2]
    with pytest.raises(ImageError, match='scans'):
        decode_compressed(jpeg[:-2] + 200 * scan + jpeg[-2:], '')
