"""The recorder as a process of its own, over real DDS; headers against rosbags' own serialisation."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from vss_ros.recordings.bags import (
    COMPRESSED_VIDEO,
    HEADER,
    IMAGE,
    BagWriter,
    deserialise,
    message_types,
    open_bag,
    read_messages,
)
from vss_ros.recordings.messages import header, raw_image
from vss_ros.recordings.open import open_source

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')

import rclpy
from rclpy.executors import SingleThreadedExecutor

from vss_ros.live.recorder import Recorder, header_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STAMP = 12 * 10**9 + 345


@contextmanager
def talker() -> Iterator[Any]:
    """A node in a context of its own."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('talker', context=context, start_parameter_services=False)
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


@contextmanager
def recorder(env: dict[str, str], *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run a recorder; it is gone at the end."""
    command = [sys.executable, '-m', 'vss_ros.live.recorder', *options]
    process = subprocess.Popen(command, env=env, text=True, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def wait_for_subscription(publisher: Any) -> None:
    end = time.monotonic() + 120
    while publisher.get_subscription_count() < 1:
        assert time.monotonic() < end, 'the recorder did not subscribe'
        time.sleep(0.02)
    time.sleep(0.3)


def image(i: int) -> Any:
    from sensor_msgs.msg import Image

    message = Image(height=4, width=6, encoding='rgb8', step=18)
    message.header.stamp.sec = i
    message.data.frombytes(bytes([i]) * 72)
    return message


def test_records_images_and_latched_topics_until_interrupted(
    tmp_path: Path, ros_domain: dict[str, str]
) -> None:
    from sensor_msgs.msg import Image
    from std_msgs.msg import String

    bag = tmp_path / 'bag'
    latched = rclpy.qos.QoSProfile(depth=1, durability=rclpy.qos.DurabilityPolicy.TRANSIENT_LOCAL)
    with talker() as node:
        names = node.create_publisher(String, '/names', latched)
        names.publish(String(data='road, car'))
        images = node.create_publisher(Image, '/camera/image_raw', rclpy.qos.qos_profile_sensor_data)
        with recorder(ros_domain, '-o', str(bag), '/names', '/camera/image_raw') as process:
            wait_for_subscription(images)
            for i in range(10):
                images.publish(image(i))
                time.sleep(0.02)
            time.sleep(0.2)
            assert not bag.exists(), 'a bag appears when it is whole'
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=120)
    assert process.returncode == 0
    assert 'Traceback' not in errors
    assert [entry.name for entry in tmp_path.iterdir()] == ['bag']
    with open_source(bag) as source:
        frames = [frame for frame, _ in source]
    assert [frame.stamp_ns for frame in frames] == [i * 10**9 for i in range(10)]
    assert all((frame.image == frame.index).all() for frame in frames)
    with open_bag(bag) as reader:
        (connection,) = [c for c in reader.connections if c.topic == '/names']
        ((_, _, data),) = read_messages(reader, [connection])
    assert deserialise(data, connection.msgtype).data == 'road, car'


def test_typed_topic_needs_no_publisher_yet_and_silence_ends_it(
    tmp_path: Path, ros_domain: dict[str, str]
) -> None:
    from sensor_msgs.msg import Image

    options = ['-o', str(tmp_path / 'bag'), '/image:sensor_msgs/msg/Image', '--until-topic-idle', '0.5']
    with talker() as node, recorder(ros_domain, *options) as process:
        time.sleep(1.5)
        assert process.poll() is None, 'no message yet is not silence'
        images = node.create_publisher(Image, '/image', 10)
        wait_for_subscription(images)
        for i in range(20):
            images.publish(image(i))
            time.sleep(0.05)
        process.communicate(timeout=120)
    assert process.returncode == 0
    with open_source(tmp_path / 'bag') as source:
        stamps = [frame.stamp_ns // 10**9 for frame, _ in source]
    # Best effort: a busy machine may lose the first ones.
    assert stamps == list(range(20))[-len(stamps) :]
    assert len(stamps) > 10


def test_existing_target_is_refused(tmp_path: Path, ros_domain: dict[str, str]) -> None:
    with recorder(ros_domain, '-o', str(tmp_path), '/image') as process:
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert 'exists' in errors
    assert 'Traceback' not in errors


@pytest.mark.parametrize('frame_id', ['', 'a', 'cam', 'front', 'camera_optical_frame', 'Kamera vorn ä'])
def test_header_of_an_image(frame_id: str) -> None:
    message = raw_image(np.ones((3, 5, 3), np.uint8), STAMP, frame_id)
    data = bytes(message_types().serialize_cdr(message, IMAGE))
    assert header_bytes(data) == bytes(message_types().serialize_cdr(header(STAMP, frame_id), HEADER))


def test_big_endian() -> None:
    message = raw_image(np.ones((3, 5, 3), np.uint8), STAMP, 'camera')
    data = bytes(message_types().serialize_cdr(message, IMAGE, little_endian=False))
    cut = deserialise(header_bytes(data), HEADER)
    assert (cut.stamp.sec, cut.stamp.nanosec, cut.frame_id) == (12, 345, 'camera')


def test_messages_that_spell_the_header_out() -> None:
    types = message_types()
    stamp = types.types['builtin_interfaces/msg/Time'](sec=12, nanosec=345)
    message = types.types[COMPRESSED_VIDEO](stamp, 'camera', np.arange(9, dtype=np.uint8), 'h264')
    data = bytes(types.serialize_cdr(message, COMPRESSED_VIDEO))
    assert header_bytes(data) == bytes(types.serialize_cdr(header(STAMP, 'camera'), HEADER))


def test_a_stop_writes_what_waits_first(tmp_path: Path, ros_domain: dict[str, str]) -> None:
    """Also while the timer that looks for topics is due."""
    from sensor_msgs.msg import Image

    with talker() as node, BagWriter(tmp_path / 'bag') as bag:
        recorder = Recorder(['/image:sensor_msgs/msg/Image'], bag, context=node.context)
        executor = SingleThreadedExecutor(context=node.context)
        executor.add_node(recorder)
        images = node.create_publisher(Image, '/image', 50)
        wait_for_subscription(images)
        for i in range(20):
            images.publish(image(i))
        time.sleep(0.5)
        recorder.finish()
        executor.shutdown()
    assert recorder.received == 20


def test_a_full_disk_keeps_what_was_recorded(tmp_path: Path, ros_domain: dict[str, str]) -> None:
    from sensor_msgs.msg import Image

    limited = [
        'bash',
        '-c',
        'ulimit -f 6000 && exec "$0" "$@"',
        sys.executable,
        '-m',
        'vss_ros.live.recorder',
    ]
    options = ['-o', str(tmp_path / 'bag'), '/image:sensor_msgs/msg/Image']
    noise = np.random.default_rng(0).bytes(720 * 1280 * 3)
    message = Image(height=720, width=1280, encoding='rgb8', step=1280 * 3)
    message.data.frombytes(noise)
    process = subprocess.Popen([*limited, *options], env=ros_domain, text=True, stderr=subprocess.PIPE)
    with talker() as node:
        images = node.create_publisher(Image, '/image', 1)
        wait_for_subscription(images)
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            images.publish(message)
            time.sleep(0.1)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 2, errors
    assert 'ends early: File too large' in errors.splitlines()[-1]
    with open_source(tmp_path / 'bag', on_reject=lambda *_: None) as source:
        assert source.partial
        assert list(source)
