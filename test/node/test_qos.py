"""The subscription follows the camera's quality of service; what is lost on the way is counted and said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')
pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')

from node_graph import Graph, clip_images, image_message
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from vss_ros.node.intake import reliability

if TYPE_CHECKING:
    from collections.abc import Callable

BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE
SENDER = Path(__file__).with_name('large_image_sender.py')


@pytest.mark.parametrize(
    ('wanted', 'offered', 'expected'),
    [
        ('auto', [], RELIABLE),
        ('auto', [RELIABLE, RELIABLE], RELIABLE),
        ('auto', [RELIABLE, BEST_EFFORT], BEST_EFFORT),
        ('best_effort', [RELIABLE], BEST_EFFORT),
        ('reliable', [BEST_EFFORT], RELIABLE),
    ],
)
def test_reliable_where_every_publisher_is(
    wanted: str, offered: list[ReliabilityPolicy], expected: ReliabilityPolicy
) -> None:
    assert reliability(wanted, offered) is expected


def test_another_camera_that_publishes_otherwise_is_followed(start: Callable[..., Graph]) -> None:
    graph = start(propagation='none')
    (image,) = clip_images(1)
    graph.send(image_message(image, graph.next_stamp()))
    for kind in (BEST_EFFORT, RELIABLE):
        graph.client.destroy_publisher(graph.camera)
        graph.camera = graph.client.create_publisher(
            Image, '/image_raw', QoSProfile(depth=5, reliability=kind)
        )

        def followed(kind: ReliabilityPolicy = kind) -> bool:
            graph.camera.publish(image_message(image, graph.next_stamp()))
            return graph.node._subscription.qos_profile.reliability is kind

        graph.wait(followed, f'a {kind.name} subscription')
        graph.wait(lambda: graph.camera.get_subscription_count() == 1, 'the node to subscribe')
        graph.received['mask'].clear()
        graph.wait(lambda: followed() and bool(graph.received['mask']), 'a mask')
    assert graph.count('errors') == 0


def test_what_is_lost_is_counted_and_said(start: Callable[..., Graph]) -> None:
    graph = start(propagation='none', qos='best_effort')
    words = [sys.executable, str(SENDER), '30', '--ros-args', '-r', 'large_image:=image_raw']
    subprocess.run(words, check=True, timeout=60)
    graph.wait(lambda: graph.count('lost') > 0, 'images of 6.3 MB to be lost without the profile')
    status = graph.received['diagnostics'][-1].status[0]
    assert status.level != b'\0'
    assert 'messages lost on the way; let the camera' in status.message
