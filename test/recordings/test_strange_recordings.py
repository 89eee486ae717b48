"""What people have that is nearly a recording: read, or refused by what it is."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from backports import zstd
from mcap.writer import Writer
from PIL import Image
from video_parts import panned, write_video

from vss_ros.cli.main import main
from vss_ros.errors import VssError
from vss_ros.files import write_png
from vss_ros.images.image_files import ORIENTATION, read_image
from vss_ros.recordings.bags import IMAGE, BagWriter, open_bag
from vss_ros.recordings.checked_bag import open_checked
from vss_ros.recordings.messages import header, raw_image
from vss_ros.recordings.open import open_source, recordings_in

if TYPE_CHECKING:
    from pathlib import Path


def bag(path: Path, *, storage: str = 'sqlite3', stamped: bool = True) -> Path:
    """Write three images a tenth of a second apart."""
    with BagWriter(path, storage=storage) as writer:  # type: ignore[arg-type]
        writer.add_topic('/image', IMAGE)
        for i in range(1, 4):
            image = raw_image(np.full((8, 8, 3), i, np.uint8), i * 10**8 if stamped else 0)
            writer.write('/image', i * 10**8, image)
    return path


def test_a_table_that_computes_without_end_is_refused(tmp_path: Path) -> None:
    path = bag(tmp_path / 'bag')
    with closing(sqlite3.connect(path / 'bag.db3')) as database, database:
        database.execute('ALTER TABLE messages RENAME TO held')
        database.execute(
            'CREATE VIEW messages AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) '
            "SELECT id, 1 AS topic_id, id AS timestamp, x'00' AS data FROM n"
        )
    with pytest.raises(VssError, match='view messages'), open_bag(path):
        pass
    with open_checked(path) as checked:
        assert 'view messages' in (checked.partial or '')
        assert checked.message_count == 3


def test_images_without_stamps_take_the_times_of_their_recording(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_source(bag(tmp_path / 'bag', stamped=False)) as source:
        assert [frame.stamp_ns for frame, _ in source] == [10**8, 2 * 10**8, 3 * 10**8]
    assert caplog.text.count('without stamps') == 1


def test_a_file_and_its_compressed_twin_count_once_and_notes_do_no_harm(tmp_path: Path) -> None:
    path = bag(tmp_path / 'bag')
    (path / 'metadata.yaml').unlink()
    (path / 'bag.db3.zstd').write_bytes(zstd.compress((path / 'bag.db3').read_bytes()))
    (path / 'notes.txt').write_text('a sunny day')
    for left in ('bag.db3', None):
        with open_source(path) as source:
            assert source.frame_count == len(list(source)) == 3
        if left:
            (path / left).unlink()
    with open_source(path / 'bag.db3.zstd') as source:
        assert len(list(source)) == 3


def test_pointers_and_bags_of_ros_1_are_called_by_their_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ('drive.mp4', 'drive.db3', 'drive.mcap'):
        (tmp_path / name).write_text('version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n')
        with pytest.raises(VssError, match='git lfs pull'):
            open_source(tmp_path / name)
    shutil.copy(tmp_path / 'drive.mcap', bag(tmp_path / 'bag', storage='mcap') / 'bag.mcap')
    with pytest.raises(VssError, match='git lfs pull'):
        open_source(tmp_path / 'bag')
    (tmp_path / 'old.bag').write_bytes(b'#ROSBAG V2.0\n')
    with pytest.raises(VssError, match=r'rosbags-convert --src .*old\.bag'):
        open_source(tmp_path / 'old.bag')
    assert main(['bag', 'info', str(tmp_path / 'old.bag')]) == 2
    assert 'rosbags-convert' in capsys.readouterr().err


@pytest.mark.parametrize('stamp', [-1, 2**31 * 10**9])
def test_stamps_that_ros_does_not_have_are_refused(stamp: int) -> None:
    with pytest.raises(VssError, match='expected a stamp'):
        header(stamp, 'camera')


def test_bag_make_names_its_topics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with BagWriter(tmp_path / 'two') as writer:
        for topic in ('/front', '/rear'):
            writer.add_topic(topic, IMAGE)
            writer.write(topic, 10**9, raw_image(np.full((8, 8, 3), len(topic), np.uint8), 10**9))
    command = ['bag', 'make', str(tmp_path / 'two'), '-o', str(tmp_path / 'out')]
    assert main(command) == 2
    for topic in ('/\udcff', 'front', '/a b', '/1'):
        assert main([*command, '--image-topic', '/rear', '--topic', topic]) == 2
        assert '--topic' in capsys.readouterr().err
    assert main([*command, '--image-topic', '/rear', '--format', 'png']) == 0
    with open_source(tmp_path / 'out') as source:
        ((frame, _),) = source
    assert frame.image[0, 0, 0] == len('/rear')


def test_frames_with_a_preview_and_labels_of_boxes_are_frames(tmp_path: Path) -> None:
    images, boxes = tmp_path / 'images', tmp_path / 'labels'
    images.mkdir()
    boxes.mkdir()
    for i in range(3):
        write_png(images / f'{i}.png', np.full((48, 64, 3), i, np.uint8))
        (boxes / f'{i}.txt').write_text('0 0.5 0.5 0.1 0.1')
    write_video(images / 'preview.mp4', panned(2), 'mpeg4')
    assert recordings_in(images) == []
    with open_source(images) as source:
        assert (len(list(source)), source.has_masks) == (3, False)
    with open_source(images / '1.png') as source:
        ((frame, _),) = source
    assert frame.image[0, 0, 0] == 1


def test_a_pattern_stands_for_images(tmp_path: Path) -> None:
    for name in ('f2.png', 'f10.png', 'g1.png', 'f1.jpg', 'fx.png'):
        write_png(tmp_path / name, np.full((48, 64, 3), len(name), np.uint8))
    for pattern, names in (
        ('f%04d.png', ['f2', 'f10']),
        ('f*.png', ['f2', 'f10', 'fx']),
        ('?1.*', ['f1', 'g1']),
    ):
        with open_source(tmp_path / pattern) as source:
            frames = [frame for frame, _ in source]
            assert [source.frame_name(frame).rpartition('/')[2] for frame in frames] == names
    assert main(['bag', 'make', str(tmp_path / '*.png'), '-o', str(tmp_path / 'bag')]) == 0


@pytest.mark.parametrize('kind', ['bmp', 'tiff', 'webp'])
def test_images_of_other_kinds(kind: str, tmp_path: Path) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32] = 200, 10, 90
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    more: Any = {'bmp': {}, 'tiff': {'exif': exif}, 'webp': {'exif': exif, 'lossless': True}}[kind]
    path = tmp_path / f'a.{kind}'
    Image.fromarray(picture).save(path, **more)
    with open_source(tmp_path) as source:
        ((frame, _),) = source
    assert (frame.image == (picture if kind == 'bmp' else np.rot90(picture, -1))).all()
    blob = path.read_bytes()
    path.write_bytes(blob[: len(blob) * 2 // 3])
    with open_source(tmp_path) as source:
        assert list(source) == []
        assert source.rejected == 1
    path.write_bytes(b'II*\0' + blob[4:60] if kind == 'tiff' else blob[:20])
    with pytest.raises(VssError, match='expected a whole picture'):
        read_image(path)
    Image.new('I;16', (64, 48)).save(tmp_path / 'deep.tif')
    with pytest.raises(VssError, match='of mode I;16'):
        read_image(tmp_path / 'deep.tif')


@pytest.mark.parametrize('suffix', ['wmv', 'flv', '3gp', 'mts', 'h265'])
def test_videos_of_every_kind_that_ffmpeg_reads(suffix: str, tmp_path: Path) -> None:
    encoder = {'wmv': 'wmv2', 'flv': 'flv', '3gp': 'mpeg4', 'mts': 'mpeg2video', 'h265': 'libx265'}[suffix]
    made = write_video(tmp_path / ('v.hevc' if suffix == 'h265' else f'v.{suffix}'), panned(6), encoder)
    with open_source(made.rename(tmp_path / f'drive.{suffix}')) as source:
        assert (len(list(source)), source.rejected, source.partial) == (6, 0, None)


@pytest.mark.parametrize(
    ('name', 'said'),
    [
        ('rtsp://robot/front', 'live source'),
        ('0', 'live source'),
        ('f%04d.png', r'expected images called f%04d\.png'),
        ('nowhere/*.png', r'expected images called \*\.png'),
        ('x', 'not exist'),
    ],
)
def test_what_is_no_file_is_called_what_it_is(name: str, said: str) -> None:
    with pytest.raises(VssError, match=said):
        open_source(name)


@pytest.mark.parametrize(
    ('encoding', 'kind'), [('ros1', 'sensor_msgs/Image'), ('protobuf', 'foxglove.CompressedImage')]
)
def test_messages_of_other_worlds_are_called_so(encoding: str, kind: str, tmp_path: Path) -> None:
    with (tmp_path / 'x.mcap').open('wb') as file:
        writer = Writer(file)
        writer.start(profile='')
        schema = writer.register_schema(kind, encoding, b'')
        channel = writer.register_channel('/camera', encoding, schema)
        writer.add_message(channel, 1, b'x', 1)
        writer.finish()  # type: ignore[no-untyped-call]
    with pytest.raises(VssError, match=rf'expected messages of ROS 2.*{kind}'):
        open_source(tmp_path / 'x.mcap')
