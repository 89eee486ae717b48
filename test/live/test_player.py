"""The player as its users meet it: a process of its own, over real DDS."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from vss_ros.recordings.bags import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, BagWriter, message_types
from vss_ros.recordings.messages import camera_info, compressed_image, raw_image
from vss_ros.recordings.playback import Playback, TimedMessage, Topic

rclpy = pytest.importorskip(
    'rclpy', reason='needs rclpy: run the tests with make test, or source a ROS 2 distribution'
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNT = 20
PERIOD_NS = 40_000_000
START_NS = 5 * 10**9


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """A bag of 20 small images at 25 Hz with camera_info and masks."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    with BagWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/camera/image_raw', IMAGE)
        writer.add_topic('/camera/camera_info', CAMERA_INFO)
        writer.add_topic('/camera/mask/compressed', COMPRESSED_IMAGE)
        for i in range(COUNT):
            stamp = START_NS + i * PERIOD_NS
            pixels[:] = i
            writer.write('/camera/image_raw', stamp, raw_image(pixels, stamp))
            writer.write('/camera/camera_info', stamp, camera_info((48, 64), stamp))
            mask = compressed_image(pixels[..., 0], stamp, codec='png')
            writer.write('/camera/mask/compressed', stamp, mask)
    return tmp_path / 'bag'


@contextmanager
def player(bag: Path, env: dict[str, str], *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run a player; it is gone at the end."""
    command = [sys.executable, '-m', 'vss_ros.live.player', str(bag), *options]
    process = subprocess.Popen(command, env=env, text=True, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


@contextmanager
def listener() -> Iterator[Any]:
    """A node in a context of its own."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('listener', context=context, start_parameter_services=False)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    node.spin = executor.spin_once
    try:
        yield node
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)


def spin_until(node: Any, done: Any, seconds: float = 120.0) -> None:
    """Spin until something is true."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, 'timed out'
        node.spin(timeout_sec=0.05)


def stamp_of(message: Any) -> int:
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def best_effort(depth: int = 50) -> Any:
    return rclpy.qos.QoSProfile(depth=depth, reliability=rclpy.qos.ReliabilityPolicy.BEST_EFFORT)


def test_every_message_arrives_unchanged_and_on_time(bag: Path, ros_domain: dict[str, str]) -> None:
    from sensor_msgs.msg import CameraInfo, CompressedImage, Image

    images: list[Any] = []
    infos: list[Any] = []
    masks: list[Any] = []
    arrivals: list[float] = []
    with listener() as node:

        def on_image(message: Any) -> None:
            arrivals.append(time.monotonic())
            images.append(message)

        node.create_subscription(Image, '/camera/image_raw', on_image, best_effort())
        node.create_subscription(CameraInfo, '/camera/camera_info', infos.append, 50)
        node.create_subscription(CompressedImage, '/camera/mask/compressed', masks.append, 50)
        with player(bag, ros_domain, '--wait-subscribers', '1') as process:
            spin_until(node, lambda: process.poll() is not None)
            spin_until(node, lambda: len(images) == len(infos) == len(masks) == COUNT)
    assert process.returncode == 0
    stamps = [START_NS + i * PERIOD_NS for i in range(COUNT)]
    assert [stamp_of(m) for m in images] == [stamp_of(m) for m in infos] == stamps
    assert [stamp_of(m) for m in masks] == stamps
    assert [m.data[0] for m in images] == list(range(COUNT))
    assert images[0].header.frame_id == 'camera'
    # Absolute deadlines: the whole takes as long as it took to record; the machine may be busy.
    assert arrivals[-1] - arrivals[0] == pytest.approx((COUNT - 1) * PERIOD_NS / 1e9, abs=0.15)


def test_rate_loop_clock_and_remapping(bag: Path, ros_domain: dict[str, str]) -> None:
    from rosgraph_msgs.msg import Clock
    from sensor_msgs.msg import Image

    images: list[Any] = []
    clocks: list[Any] = []
    options = ['--rate', '4', '--loop', '--clock', '--wait-subscribers', '1']
    options += ['--ros-args', '-r', '/camera/image_raw:=/front/image_raw']
    with listener() as node:
        node.create_subscription(Image, '/front/image_raw', images.append, 50)
        node.create_subscription(Clock, '/clock', clocks.append, best_effort())
        with player(bag, ros_domain, *options) as process:
            spin_until(node, lambda: len(images) > COUNT + 5)
            process.send_signal(signal.SIGINT)
            spin_until(node, lambda: process.poll() is not None)
            assert process.stderr is not None
            assert 'Traceback' not in process.stderr.read()
    assert process.returncode == 0
    assert [stamp_of(m) for m in images[:3]] == [stamp_of(m) for m in images[COUNT : COUNT + 3]]
    times = [c.clock.sec * 10**9 + c.clock.nanosec for c in clocks]
    assert len(times) > 20
    assert min(times) >= START_NS
    assert max(times) <= START_NS + (COUNT + 2) * PERIOD_NS


def test_restamped_loops_go_on_in_time(bag: Path, ros_domain: dict[str, str]) -> None:
    from sensor_msgs.msg import Image

    images: list[Any] = []
    with listener() as node:
        node.create_subscription(Image, '/camera/image_raw', images.append, 50)
        options = ['--rate', '4', '--loop', '--restamp', '--wait-subscribers', '1']
        with player(bag, ros_domain, *options) as process:
            spin_until(node, lambda: len(images) > 2 * COUNT)
            age = time.time_ns() - stamp_of(images[-1])
            process.send_signal(signal.SIGTERM)
            spin_until(node, lambda: process.poll() is not None)
    assert process.returncode == 0
    assert abs(age) < 10**9
    stamps = np.diff([stamp_of(m) for m in images])
    # The images say which they are: on a busy machine DDS may drop one.
    steps = np.diff([m.data[0] for m in images])
    same_round = steps > 0
    assert np.allclose(stamps[same_round], steps[same_round] * PERIOD_NS / 4, rtol=0, atol=1e4)
    # A round begins when the one before it is over, or later where opening the bag took longer.
    due = (steps[~same_round] + COUNT) * PERIOD_NS / 4
    assert due.size >= 2
    assert np.all(stamps[~same_round] > due - 1e6)
    assert np.all(stamps[~same_round] < due + 5e8)


def test_interrupt_while_waiting_is_a_clean_exit(bag: Path, ros_domain: dict[str, str]) -> None:
    with listener() as node, player(bag, ros_domain, '--wait-subscribers', '1', '--clock') as process:
        spin_until(node, lambda: node.count_publishers('/clock') > 0)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 0
    assert 'Traceback' not in errors


def test_image_folder_is_played_as_raw_images(tmp_path: Path, ros_domain: dict[str, str]) -> None:
    import cv2
    from sensor_msgs.msg import Image

    for i in range(5):
        cv2.imwrite(str(tmp_path / f'{i}.png'), np.full((10, 12, 3), i * 10, np.uint8))
    images: list[Any] = []
    with listener() as node:
        node.create_subscription(Image, '/camera/image_raw', images.append, 50)
        with player(tmp_path, ros_domain, '--wait-subscribers', '1', '--fps', '20') as process:
            spin_until(node, lambda: process.poll() is not None and len(images) == 5)
    assert process.returncode == 0
    assert [m.data[0] for m in images] == [0, 10, 20, 30, 40]
    assert (images[0].encoding, images[0].step) == ('rgb8', 36)


def slow_to_open() -> Iterator[TimedMessage]:
    """Yield five images at 20 Hz that take a while to be opened."""
    time.sleep(0.5)
    message = raw_image(np.zeros((2, 2, 3), np.uint8), START_NS)
    data = bytes(message_types().serialize_cdr(message, IMAGE))
    for i in range(5):
        yield TimedMessage(START_NS + i * 50_000_000, '/camera/image_raw', data)


def test_what_opening_takes_is_not_caught_up(ros_domain: dict[str, str]) -> None:
    from vss_ros.live.player import BagPlayer
    from vss_ros.node.process import StopRequest

    rclpy.init()
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    try:
        player_node = BagPlayer(Playback([Topic('/camera/image_raw', IMAGE, 5)], slow_to_open), StopRequest())
        start = time.monotonic()
        assert player_node.play(1.0) == 5
        assert time.monotonic() - start >= 0.5 + 4 * 0.05
        player_node.destroy_node()
    finally:
        rclpy.shutdown()
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def test_missing_bag_is_one_line(tmp_path: Path, ros_domain: dict[str, str]) -> None:
    with player(tmp_path / 'nowhere', ros_domain) as process:
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert 'does not exist' in errors
    assert 'Traceback' not in errors
