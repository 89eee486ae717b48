"""Images are taken by a thread of their own, and read where they were serialised."""

from __future__ import annotations

import time
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')

import rclpy
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from vss_ros.node.reader import LeftAlone, Reader
from vss_ros.node.serialised_image import ImageView, image_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def image(frame_id: str, encoding: str, size: int) -> Image:
    message = Image(header=Header(frame_id=frame_id), height=size, width=3, encoding=encoding)
    message.header.stamp.sec, message.header.stamp.nanosec = -5, 2**32 - 1
    message.step, message.is_bigendian, message.data = 2**32 - 1, 1, array('B', range(size))
    return message


def fields(message: Any) -> tuple[Any, ...]:
    names = ('header', 'height', 'width', 'encoding', 'is_bigendian', 'step')
    return (*(getattr(message, name) for name in names), bytes(message.data))


@pytest.mark.parametrize('size', range(5))
@pytest.mark.parametrize(('frame_id', 'encoding'), [('', 'rgb8'), ('caméra', 'mono8'), ('a', '')])
def test_a_view_has_what_the_message_has(frame_id: str, encoding: str, size: int) -> None:
    message = image(frame_id, encoding, size)
    view = image_of(serialize_message(message))
    assert isinstance(view, ImageView)
    assert fields(view) == fields(message)


def test_damaged_bytes_are_what_rclpy_makes_of_them() -> None:
    """Any prefix, and a thousand with a few bytes changed: the same values, or no image in either."""
    whole, rng = serialize_message(image('camera', 'rgb8', 18)), np.random.default_rng(0)
    cases = [whole[:size] for size in range(len(whole))]
    for _ in range(1000):
        changed = np.frombuffer(whole, np.uint8).copy()
        changed[rng.integers(0, len(changed), 3)] = rng.integers(0, 256, 3)
        cases.append(changed.tobytes())
    outcomes = set()
    for case in cases:
        found = [outcome(read, case) for read in (image_of, lambda data: deserialize_message(data, Image))]
        assert found[0] == found[1], case
        outcomes.add(type(found[0]))
    assert outcomes == {str, tuple}


def outcome(read: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return fields(read(data))
    except Exception as error:  # noqa: BLE001 (rclpy's own)
        return type(error).__name__


@pytest.fixture
def node(ros_domain: dict[str, str]) -> Iterator[Any]:
    rclpy.init()
    node = rclpy.create_node('reads')
    yield node
    node.destroy_node()
    rclpy.shutdown()


def until(condition: Callable[[], object], publish: Callable[[], None]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        publish()
        time.sleep(0.02)


def test_messages_come_without_an_executor_and_an_error_ends_nothing(node: Any) -> None:
    came: list[Any] = []
    errors: list[BaseException] = []

    def take(message: Any, info: Any) -> None:
        came.append(message)
        if len(came) == 1:
            raise ValueError('the first')
        assert info['received_timestamp'] > 0

    subscription = node.create_subscription(Image, 'images', take, 10, callback_group=LeftAlone(), raw=True)
    publisher = node.create_publisher(Image, 'images', 10)
    message = image('camera', 'rgb8', 3)
    reader = Reader(subscription, node.context, errors.append)
    until(lambda: len(came) > 3, lambda: publisher.publish(message))
    assert [str(error) for error in errors] == ['the first']
    assert fields(image_of(came[-1])) == fields(message)
    reader.close()
    number = len(came)
    publisher.publish(message)
    rclpy.spin_once(node, timeout_sec=0.5)  # executors leave it alone
    assert len(came) == number
