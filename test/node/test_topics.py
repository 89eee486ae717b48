"""Which topic and transport a node subscribes to, by real remap rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')

import rclpy
from rclpy.node import Node

from vss_ros.node.intake import camera_transport

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def ros(ros_domain: dict[str, str]) -> Iterator[None]:
    rclpy.init()
    yield
    rclpy.shutdown()


@pytest.mark.parametrize(
    ('wanted', 'rules', 'topic', 'is_raw'),
    [
        ('raw', [], '/ns/image_raw', True),
        ('compressed', [], '/ns/image_raw/compressed', False),
        ('compressed', ['image_raw:=/cam/image'], '/cam/image/compressed', False),
        ('compressed', ['image_raw/compressed:=/jpegs', 'image_raw:=/cam/image'], '/jpegs', False),
        ('compressed', ['image_raw:=/cam/image/compressed'], '/cam/image/compressed', False),
        ('raw', ['image_raw:=/cam/image/compressed'], '/cam/image/compressed', False),
        ('raw', ['image_raw:=/front/video'], '/front/video', True),
        ('video', ['image_raw:=cam/image'], '/ns/cam/image/video', False),
    ],
)
def test_the_base_name_is_remapped_first(
    wanted: str, rules: list[str], topic: str, is_raw: bool, ros: None
) -> None:
    words = ['--ros-args', *(word for rule in rules for word in ('-r', rule))]
    node = Node('n', namespace='/ns', cli_args=words)
    transport = camera_transport(node, wanted)
    node.destroy_node()
    assert transport.topic == topic
    assert (transport.message_type == 'sensor_msgs/msg/Image') is is_raw
