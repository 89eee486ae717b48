from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from vss_ros.errors import VssError
from vss_ros.recordings.bags import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    IMAGE,
    KEY_FRAME_DECISION,
    BagWriter,
    Storage,
    deserialise,
    is_bag,
    message_types,
    open_bag,
    qos,
    read_messages,
)
from vss_ros.recordings.messages import camera_info, compressed_image, header, raw_image, stamp_ns
from vss_ros.recordings.playback import START_NS, open_playback

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)


def read_all(path: Path) -> int:
    with open_bag(path) as reader:
        return len(list(read_messages(reader, list(reader.connections))))


def write(target: Path, storage: Storage = 'mcap', *, overwrite: bool = False) -> Path:
    with BagWriter(target, storage=storage, overwrite=overwrite) as bag:
        bag.add_topic('/image', IMAGE)
        bag.add_topic('/info', CAMERA_INFO, qos(latched=True))
        for i in range(5):
            bag.write('/image', i * 10, raw_image(PIXELS + i, i * 10**9 + 7))
        bag.write('/info', 50, camera_info((6, 8), 50, fov=90))
        assert bag.counts == {'/image': 5, '/info': 1}
    return target


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_what_is_written_is_read(tmp_path: Path, storage: Storage) -> None:
    bag = write(tmp_path / 'new' / 'bag', storage)
    assert is_bag(bag)
    assert [entry.name for entry in bag.parent.iterdir()] == ['bag']
    with open_bag(bag) as reader:
        read = [
            (time, deserialise(data, connection.msgtype))
            for connection, time, data in read_messages(reader, list(reader.connections))
        ]
    assert [time for time, _ in read] == [0, 10, 20, 30, 40, 50]
    assert stamp_ns(read[3][1]) == 3 * 10**9 + 7
    assert np.array_equal(read[3][1].data.reshape(6, 8, 3), PIXELS + 3)
    assert read[5][1].k[[0, 2, 5]].tolist() == pytest.approx([4, 3.5, 2.5])


def test_mcap_is_compressed(tmp_path: Path) -> None:
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/mask', IMAGE)
        for i in range(4):
            bag.write('/mask', i, raw_image(np.zeros((400, 500), np.uint8), i))
    assert (tmp_path / 'bag' / 'bag.mcap').stat().st_size < 20_000


def test_the_packages_own_message_is_known(tmp_path: Path) -> None:
    fields = [name for name, _ in message_types().fielddefs[KEY_FRAME_DECISION][1]]
    assert fields[:4] == ['header', 'frame_index', 'is_key_frame', 'reason']
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/key_frame', KEY_FRAME_DECISION)
    assert header(-5 + 10**9, 'camera').stamp.nanosec == 999999995


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with BagWriter(tmp_path / 'bag') as bag:
            bag.add_topic('/image', IMAGE)
            bag.write('/image', 0, raw_image(PIXELS, 0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())


def test_existing_targets(tmp_path: Path) -> None:
    bag = write(tmp_path / 'bag')
    with pytest.raises(VssError, match='overwrite'):
        BagWriter(bag)
    with pytest.raises(RuntimeError), BagWriter(bag, overwrite=True):
        raise RuntimeError
    write(bag, 'sqlite3', overwrite=True)
    assert (bag / 'bag.db3').exists()
    (tmp_path / 'notes').mkdir()
    with pytest.raises(VssError, match='choose another'):
        BagWriter(tmp_path / 'notes', overwrite=True)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ['bag', 'notes']


def test_unknown_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VssError, match='my_msgs'), BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/x', 'my_msgs/msg/Thing')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_truncated_bags_are_errors_with_a_remedy(tmp_path: Path, storage: Storage) -> None:
    bag = write(tmp_path / 'bag', storage)
    (file,) = (f for f in bag.iterdir() if f.suffix in {'.mcap', '.db3'})
    blob = file.read_bytes()
    for end in range(0, len(blob) - 1, len(blob) // 12):
        file.write_bytes(blob[:end])
        for path in (bag, file):
            with pytest.raises(VssError, match=r'expected a readable .* got'):
                read_all(path)


def test_playback_of_a_bag(tmp_path: Path) -> None:
    bag = write(tmp_path / 'bag')
    with open_playback(bag) as playback:
        assert {(t.name, t.messages, t.latched, t.is_camera) for t in playback.topics} == {
            ('/image', 5, False, True),
            ('/info', 1, True, False),
        }
        assert [m.time_ns for m in playback] == [m.time_ns for m in playback] == [0, 10, 20, 30, 40, 50]
    with open_playback(bag, topics=['/info']) as playback:
        assert [m.topic for m in playback] == ['/info']
    with pytest.raises(VssError, match='/nothing'), open_playback(bag, topics=['/nothing']):
        pass


def test_playback_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / 'images').mkdir()
    (tmp_path / 'labels').mkdir()
    for i in range(3):
        for folder, pixels in (('images', PIXELS), ('labels', PIXELS[..., 0])):
            data = compressed_image(pixels, 0, codec='png').data.tobytes()
            (tmp_path / folder / f'{i}.png').write_bytes(data)
    with open_playback(tmp_path, fps=10) as playback:
        messages = list(playback)
    assert [t.name for t in playback.topics] == ['/camera/image_raw', '/camera/camera_info', '/camera/mask']
    assert [m.time_ns - START_NS for m in messages[::3]] == [0, 10**8, 2 * 10**8]
    mask = deserialise(messages[2].data, IMAGE)
    assert (mask.encoding, mask.data.tolist()) == ('mono8', PIXELS[..., 0].reshape(-1).tolist())
    assert COMPRESSED_IMAGE not in {t.msgtype for t in playback.topics}
