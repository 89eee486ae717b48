"""Damaged and dishonest bags as sources: what is said of them, what is refused and why."""

from __future__ import annotations

import json
import re
import shutil
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bag_parts import TOPICS, images, recovered, write_bag
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from vss_ros.cli.main import main
from vss_ros.errors import VssError
from vss_ros.recordings.bags import IMAGE, BagWriter, is_bag, message_types, open_bag
from vss_ros.recordings.checked_bag import open_checked
from vss_ros.recordings.messages import raw_image
from vss_ros.recordings.open import open_source
from vss_ros.recordings.playback import find_camera, open_playback
from vss_ros.recordings.unpacking import CHUNK_LIMIT

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from pathlib import Path

MESSAGES = images(8, (48, 64))
LARGE = images(8, (200, 300), 50_000)


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """Return the folder of a whole bag."""
    return write_bag(tmp_path / 'bag', messages=MESSAGES)


def edit(bag: Path, pattern: str, replacement: str) -> None:
    """Change a bag's metadata.yaml."""
    file = bag / 'metadata.yaml'
    text, count = re.subn(pattern, replacement, file.read_text())
    assert count
    file.write_text(text)


def laughs(twice: str) -> str:
    """Make metadata that double with every line."""
    lines = ['a0: &a0 {a: 1}', *(f'a{i + 1}: &a{i + 1} {twice.format(f"*a{i} ")}' for i in range(60))]
    return '\n'.join([*lines, 'rosbag2_bagfile_information: {relative_file_paths: [*a60 ]}'])


def partial(bag: Path) -> str | None:
    with open_checked(bag) as checked:
        return checked.partial


# ------------------------------------------------------------------ metadata.yaml


@pytest.mark.parametrize('name', ['../other.mcap', '/etc/passwd', 'a/../../other.mcap', '..'])
def test_files_outside_of_the_folder_are_refused(
    bag: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(bag / 'bag.mcap', bag.parent / 'other.mcap')
    edit(bag, r'(relative_file_paths:\s*- ?)bag\.mcap', rf'\1{name}')
    assert main(['bag', 'info', str(bag)]) == 2
    assert repr(name) in (errors := capsys.readouterr().err)
    assert 'within its folder' in errors
    for opener in (open_bag, open_playback, open_source):
        with pytest.raises(VssError, match='within its folder'), opener(bag):
            pass


@pytest.mark.parametrize(
    ('pattern', 'replacement', 'reason'),
    [
        (r'(?s).+', '', 'metadata.yaml does not read'),
        (r'(?s).+', '[' * 100, 'metadata.yaml does not read'),
        pytest.param(r'(?s).+', '[' * 2000, 'recursion', marks=pytest.mark.slow),
        (r'(?s).+', laughs('[{0}, {0}]'), 'relative_file_paths.0: Input should be a valid string'),
        (r'(?s).+', laughs('{{"<<": [{0}, {0}]}}'), 'relative_file_paths.0: Input should be a valid string'),
        (r'(?s).+', laughs('{{<<: [{0}, {0}]}}'), 'metadata.yaml does not read'),
        (r'relative_file_paths', 'relative_fire_paths', 'metadata.yaml does not read'),
        (r'message_count: 8', 'message_count: many', 'metadata.yaml does not read'),
        (r'message_count: 8', 'message_count: 9', 'metadata.yaml counts 9 messages on'),
        (r'name: /camera/mask', 'name: /camera/mosk', 'metadata.yaml counts 8 messages on /camera/mosk'),
        (r'type: sensor_msgs/msg/Image', 'type: sensor_msgs/msg/Imago', 'sensor_msgs|metadata.yaml counts'),
        (r'nanoseconds_since_epoch: 1', 'nanoseconds_since_epoch: 3', 'times that are 2.000 s off'),
        (r'- bag.mcap', '- bug.mcap', 'bug.mcap is missing'),
    ],
)
def test_damaged_metadata_costs_no_message(bag: Path, pattern: str, replacement: str, reason: str) -> None:
    edit(bag, pattern, replacement)
    assert re.search(reason, partial(bag) or '')
    assert recovered(bag) == set(MESSAGES)
    if 'does not read' in reason:
        with pytest.raises(VssError, match=reason), open_bag(bag):
            pass


def test_other_quality_of_service_in_metadata_costs_no_message(bag: Path) -> None:
    edit(bag, 'depth: 5', 'depth: 6')  # rosbags itself finds no message then
    assert partial(bag) is None
    assert recovered(bag) == set(MESSAGES)


def test_a_missing_part_of_a_split_bag(bag: Path) -> None:
    edit(bag, r'(relative_file_paths:\s*- ?)bag\.mcap', r'\1bag.mcap\n  - bag_1.mcap')
    assert partial(bag) == 'bag_1.mcap is missing'
    assert recovered(bag) == set(MESSAGES)


def test_a_folder_is_a_bag_or_not(bag: Path) -> None:
    (bag / 'metadata.yaml').unlink()
    assert is_bag(bag)
    with pytest.raises(VssError, match='choose another'):
        BagWriter(bag, overwrite=True)  # nobody may have looked at it
    (bag / 'picture.png').touch()
    assert not is_bag(bag)


# ------------------------------------------------------------------ compressed otherwise


def write_compressed(target: Path, mode: CompressionMode, *, storage: str = 'mcap') -> Path:
    """Write a bag whose messages, or whose whole file, are compressed."""
    plugin = StoragePlugin.MCAP if storage == 'mcap' else StoragePlugin.SQLITE3
    writer = Writer(target, version=9, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        topics = {t: writer.add_connection(t, IMAGE, typestore=message_types()) for t in TOPICS}
        for topic, time_ns, data in LARGE:
            writer.write(topics[topic], time_ns, data)
    return target


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('mode', [CompressionMode.MESSAGE, CompressionMode.FILE])
def test_messages_or_files_compressed_by_themselves(
    tmp_path: Path, mode: CompressionMode, storage: str
) -> None:
    bag = write_compressed(tmp_path / 'bag', mode, storage=storage)
    assert partial(bag) is None
    assert recovered(bag) == set(LARGE)
    (file,) = (path for path in bag.iterdir() if path.name != 'metadata.yaml')
    blob = file.read_bytes()
    file.write_bytes(blob[: len(blob) * 2 // 3])
    assert partial(bag)
    assert recovered(bag) <= set(LARGE)
    assert len(recovered(bag)) >= 4


def test_a_message_may_not_explode(tmp_path: Path) -> None:
    compressor = zstd.ZstdCompressor()
    bomb = (
        b''.join(compressor.compress(bytes(2**20)) for _ in range(CHUNK_LIMIT // 2**20 + 1))
        + compressor.flush()
    )
    for storage in ('mcap', 'sqlite3'):
        bag = write_bag(tmp_path / storage, storage, [*MESSAGES, (TOPICS[0], 10**10, bomb)])
        with pytest.raises(VssError, match=f'messages of at most {CHUNK_LIMIT} bytes'):
            partial(bag)


# ------------------------------------------------------------------ as a source


def truncate(bag: Path) -> None:
    """Cut a bag's file off, behind its first chunk."""
    (file,) = bag.glob('*.mcap')
    file.write_bytes(file.read_bytes()[:-100])


def test_a_partial_source_says_so(bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_source(bag) as source:
        assert source.partial is None
        assert source.frame_count == sum(mask is not None for _, mask in source) == 8
    truncate(bag)
    with open_source(bag) as source:
        assert 'bag.mcap: ' in (source.partial or '')
        assert source.frame_count == sum(mask is not None for _, mask in source) == 8
    with pytest.raises(VssError, match='vss bag make'), open_playback(bag):
        pass
    camera = find_camera(bag, salvage=True).name
    with open_playback(bag, topics=[camera], salvage=True) as playback:
        assert [message.topic for message in playback] == [camera] * 8
    out = tmp_path / 'out'
    assert main(['segment', str(bag), '-o', str(out), '--no-video']) == 1
    assert 'is damaged' in capsys.readouterr().err
    summary = json.loads((out / 'summary.json').read_text())
    assert summary['frames'] == 8
    assert 'bag.mcap: ' in summary['partial']
    assert main(['bag', 'make', str(bag), '-o', str(tmp_path / 'mended')]) == 1
    assert partial(tmp_path / 'mended') is None


def write_images(target: Path, change: Any) -> Path:
    """Write five images with masks, each message changed by a function of its number and kind."""
    with BagWriter(target) as writer:
        for topic in TOPICS:
            writer.add_topic(topic, IMAGE)
        for i in range(30):
            stamp = (i + 1) * 10**8
            picture = raw_image(np.zeros((48, 64, 3), np.uint8), stamp)
            mask = raw_image(np.zeros((48, 64), np.uint8), stamp)
            change(i, picture, mask)
            writer.write(TOPICS[0], stamp, picture)
            writer.write(TOPICS[1], stamp, mask)
    return target


def shrink(mask: Any) -> None:
    mask.width, mask.step, mask.data = 32, 32, mask.data[: 48 * 32]


def test_masks_of_another_size_are_refused(tmp_path: Path) -> None:
    def some(i: int, _: Any, mask: Any) -> None:
        if i % 2 == 0:
            shrink(mask)

    bag = write_images(tmp_path / 'all', lambda _, __, mask: shrink(mask))
    reason = r'20 of 20: expected a mask of .* size \(48, 64\), got \(48, 32\)'
    with open_source(bag) as source, pytest.raises(VssError, match=reason):
        list(source)
    with open_source(write_images(tmp_path / 'some', some)) as source:
        assert len(list(source)) == source.rejected == 15


def test_masks_of_other_times_are_refused(tmp_path: Path) -> None:
    def late(_: int, __: Any, mask: Any) -> None:
        mask.header.stamp.nanosec += 1000

    def much_later(_: int, __: Any, mask: Any) -> None:
        mask.header.stamp.sec += 1000

    def nearly(i: int, picture: Any, mask: Any) -> None:
        if i != 15:
            late(i, picture, mask)

    for change in (late, much_later):
        bag = write_images(tmp_path / change.__name__, change)
        with open_source(bag) as source, pytest.raises(VssError, match='stamps of images'):
            list(source)
    with open_source(write_images(tmp_path / 'nearly', nearly)) as source:
        assert sum(mask is not None for _, mask in source) == 1


def test_images_that_claim_more_than_they_hold_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def claim(_: int, picture: Any, __: Any) -> None:
        picture.height = 2**31

    def tall(_: int, picture: Any, __: Any) -> None:
        picture.height = 96

    for change, reason in ((claim, 'at most'), (tall, r'expected 18432 bytes')):
        bag = write_images(tmp_path / change.__name__, change)
        with open_source(bag) as source, pytest.raises(VssError, match=rf'no image .* can be used.*{reason}'):
            list(source)
        assert main(['segment', str(bag), '-o', str(tmp_path / 'out')]) == 2
        assert 'can be used' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
