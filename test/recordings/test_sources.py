from __future__ import annotations

from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import pytest

from vss_ros.errors import VssError
from vss_ros.recordings.bags import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, BagWriter, message_types
from vss_ros.recordings.messages import camera_info, compressed_image, raw_image
from vss_ros.recordings.open import open_source

if TYPE_CHECKING:
    from pathlib import Path


def picture(i: int) -> np.ndarray:
    """An even colour that survives compression."""
    return np.full((48, 64, 3), 40 + 20 * i, np.uint8)


def mask(i: int) -> np.ndarray:
    return np.full((48, 64), i, np.uint8)


def folder(path: Path, count: int = 4, *, masks: bool = False, suffix: str = '.png') -> Path:
    path.mkdir(parents=True)
    for i in range(count):
        cv2.imwrite(str(path / f'frame_{i:03}{suffix}'), mask(i) if masks else picture(i))
    return path


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_folder(tmp_path: Path, suffix: str) -> None:
    with open_source(folder(tmp_path / 'images_only', suffix=suffix), fps=10) as source:
        frames = list(source)
        assert (source.frame_count, source.fps, source.has_masks, source.rejected) == (4, 10, False, 0)
    assert [f.frame.index for f in frames] == [0, 1, 2, 3]
    assert [f.frame.stamp_ns for f in frames] == [0, 10**8, 2 * 10**8, 3 * 10**8]
    assert all(np.abs(f.frame.image.astype(int) - picture(i)).max() <= 2 for i, f in enumerate(frames))
    assert all(f.mask is None for f in frames)


@pytest.mark.parametrize(
    ('images', 'labels', 'opened'),
    [
        ('val', 'valannot', 'val'),
        ('images', 'labels', 'images'),
        ('images', 'labels', ''),
        ('val', 'valannot', ''),
    ],
)
def test_layouts_with_masks(tmp_path: Path, images: str, labels: str, opened: str) -> None:
    folder(tmp_path / images)
    folder(tmp_path / labels, masks=True)
    with open_source(tmp_path / opened) as source:
        assert source.has_masks
        for i, (_, found) in enumerate(source):
            assert found is not None
            assert np.array_equal(found, mask(i))


def test_folder_with_damaged_image_and_missing_mask(tmp_path: Path) -> None:
    images = folder(tmp_path / 'drive')
    masks = folder(tmp_path / 'truth', masks=True)
    (images / 'frame_001.png').write_bytes((images / 'frame_001.png').read_bytes()[:60])
    (masks / 'frame_002.png').unlink()
    told: list[str] = []
    with open_source(images, masks=masks, on_reject=lambda name, _: told.append(name)) as source:
        frames = list(source)
        assert source.rejected == 1
    assert told == ['frame_001.png']
    assert [f.frame.index for f in frames] == [0, 1, 2]
    names = [source.frame_name(f.frame) for f in frames]
    assert [name.split('/')[-2:] for name in names] == [['drive', f'frame_{i:03d}'] for i in (0, 2, 3)]
    assert [round(f.frame.stamp_ns * 15 / 1e9) for f in frames] == [0, 2, 3]
    assert [f.mask is None for f in frames] == [False, True, False]


def test_folder_errors(tmp_path: Path) -> None:
    images = folder(tmp_path / 'x' / 'val')
    other = tmp_path / 'other'
    other.mkdir()
    with pytest.raises(VssError, match='val'):
        open_source(tmp_path / 'x')
    with pytest.raises(VssError, match='nothing'):
        open_source(other)
    with pytest.raises(VssError, match='PNG masks'):
        open_source(images, masks=other)
    cv2.imwrite(str(other / 'unrelated.png'), mask(0))
    with pytest.raises(VssError, match='named like the images'):
        open_source(images, masks=other)
    with pytest.raises(VssError, match='frame rate'):
        open_source(images, fps=0)
    with pytest.raises(VssError, match='does not exist'):
        open_source(tmp_path / 'nowhere')
    (tmp_path / 'notes.txt').write_text('x')
    with pytest.raises(VssError, match='ffmpeg'):
        open_source(tmp_path / 'notes.txt')
    with pytest.raises(VssError, match='bag for a topic'):
        open_source(images, image_topic='/camera')


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / 'drive.mp4'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        for i in range(8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(i), format='rgb24')))
        container.mux(stream.encode(None))
    return path


def test_video(video: Path, tmp_path: Path) -> None:
    masks = folder(tmp_path / 'masks', 8, masks=True)
    with open_source(video, masks=masks) as source:
        assert (source.frame_count, source.fps, source.has_masks) == (8, 25.0, True)
        frames = list(source)
    assert [f.frame.stamp_ns for f in frames] == [i * 40_000_000 for i in range(8)]
    for i, (frame, found) in enumerate(frames):
        assert np.abs(frame.image.astype(int) - picture(i)).max() <= 4
        assert frame.image.flags.c_contiguous
        assert found is not None
        assert np.array_equal(found, mask(i))


def test_video_errors(video: Path, tmp_path: Path) -> None:
    with pytest.raises(VssError, match='8 frames'):
        open_source(video, masks=folder(tmp_path / 'few', 3, masks=True))
    blob = video.read_bytes()
    (tmp_path / 'cut.mp4').write_bytes(blob[: len(blob) // 2])
    with pytest.raises(VssError, match='expected a video'):
        open_source(tmp_path / 'cut.mp4')


def bag(path: Path, *, raw: bool = False, masks: bool = True) -> Path:
    kind, suffix = (IMAGE, '') if raw else (COMPRESSED_IMAGE, '/compressed')
    with BagWriter(path) as writer:
        writer.add_topic('/camera/image_raw' + suffix, kind)
        writer.add_topic('/camera/camera_info', CAMERA_INFO)
        if masks:
            writer.add_topic('/camera/mask' + suffix, kind)
        for i in range(6):
            stamp = 10**9 + i * 10**8
            image = raw_image(picture(i), stamp) if raw else compressed_image(picture(i), stamp, quality=95)
            truth = raw_image(mask(i), stamp) if raw else compressed_image(mask(i), stamp, codec='png')
            writer.write('/camera/image_raw' + suffix, stamp, image)
            writer.write('/camera/camera_info', stamp, camera_info((48, 64), stamp))
            # Masks come late, and one is missing: only stamps say what belongs together.
            if masks and i != 2:
                writer.write('/camera/mask' + suffix, stamp + 3 * 10**8, truth)
    return path


@pytest.mark.parametrize('raw', [False, True])
@pytest.mark.parametrize('bare', [False, True])
def test_bag(tmp_path: Path, raw: bool, bare: bool) -> None:
    path = bag(tmp_path / 'bag', raw=raw)
    with open_source(path / 'bag.mcap' if bare else path) as source:
        assert source.frame_count == 6
        assert source.has_masks
        frames = list(source)
    assert [f.frame.stamp_ns for f in frames] == [10**9 + i * 10**8 for i in range(6)]
    for i, (frame, found) in enumerate(frames):
        assert np.abs(frame.image.astype(int) - picture(i)).max() <= 2
        assert (found is None) == (i == 2)
        assert found is None or np.array_equal(found, mask(i))


def test_bag_topics(tmp_path: Path) -> None:
    path = tmp_path / 'two'
    with BagWriter(path) as writer:
        for name in ('/front/image_raw', '/rear/image_raw'):
            writer.add_topic(name, IMAGE)
            writer.write(name, 5, raw_image(picture(1), 5))
    with pytest.raises(VssError, match='/front/image_raw, /rear/image_raw'):
        open_source(path)
    with pytest.raises(VssError, match='images on /left'):
        open_source(path, image_topic='/left')
    with pytest.raises(VssError, match='masks on /left'):
        open_source(path, image_topic='/rear/image_raw', mask_topic='/left')
    with pytest.raises(VssError, match='mask topic'):
        open_source(path, masks=tmp_path)
    with open_source(path, image_topic='/rear/image_raw') as source:
        assert len(list(source)) == 1
        assert not source.has_masks


def test_damaged_messages_are_counted_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / 'bag'
    with BagWriter(path) as writer:
        writer.add_topic('/image', IMAGE)
        good = raw_image(picture(1), 1)
        wrong_step = raw_image(picture(1), 2)
        wrong_step.step = 5
        for i, message in enumerate([good, wrong_step, b'\0\1\0\0short', b'', good]):
            writer.write('/image', i, message)
        whole = bytes(message_types().serialize_cdr(good, IMAGE))
        for i in range(0, len(whole) - 1, len(whole) // 30):
            writer.write('/image', 10 + i, whole[:i])
    with open_source(path) as source:
        frames = list(source)
        assert source.rejected == (source.frame_count or 0) - 2
    assert [f.frame.index for f in frames] == [0, 1]
    assert 'step of at least 192' in caplog.text


def test_camvid_sequence(SHARED: Path) -> None:  # noqa: N803
    with open_source(SHARED / 'data' / 'camvid' / 'val') as source:
        assert source.frame_count == 101
        frame, truth = next(iter(source))
    assert frame.image.shape == (360, 480, 3)
    assert truth is not None
    assert int(truth.max()) <= 11
