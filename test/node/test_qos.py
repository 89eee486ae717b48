"""The subscription follows the camera's quality of service; what is lost on the way is counted and said."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')
pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')

from node_graph import Graph, image_message
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from experiments.robot import clip as clip_images
from vss_ros.node.camera import YOUNG_S, LossCounter
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
            return graph.stream.camera.subscription.qos_profile.reliability is kind

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


def test_every_image_of_a_plain_reliable_camera_is_received_or_counted_as_lost(
    start: Callable[..., Graph],
) -> None:
    graph = start(propagation='none', qos='reliable', threads=1)
    graph.client.destroy_publisher(graph.camera)
    time.sleep(YOUNG_S)  # a camera that starts later: its first images count
    words = [sys.executable, str(SENDER), '40', 'reliable', '--ros-args', '-r', 'large_image:=image_raw']
    subprocess.run(words, check=True, timeout=60)
    graph.wait(lambda: graph.count('received') + graph.count('lost') >= 40, 'all 40 images')
    assert graph.count('received') + graph.count('lost') == 40


def test_what_is_lost_is_counted_once_by_numbers_and_events() -> None:
    told: list[int] = []
    losses = LossCounter(told.append)

    def arrives(number: int, publisher: bytes = b'a') -> bool:
        return losses.arrived({'publication_sequence_number': number, 'publisher_gid': {'data': publisher}})

    losses.lost(2)  # before the first
    assert not arrives(7)
    assert not arrives(8)
    losses.lost(2)
    assert arrives(14)  # 9 to 13, of which the event told two
    losses.lost(1)  # late
    assert not arrives(3, b'b')  # another publisher counts for itself
    losses.lost(4)  # after the last
    assert told == [2, 2, 3, 4]
    assert not losses.arrived({'publication_sequence_number': None})  # not known: nothing is said


def test_quality_of_service_can_be_overridden_by_parameter(start: Callable[..., Graph]) -> None:
    given = {
        'qos_overrides./image_raw.subscription.depth': 3,
        'qos_overrides./image_raw.subscription.reliability': 'best_effort',
        'qos_overrides./segmentation/mask.publisher.durability': 'transient_local',
    }
    graph = start(propagation='none', **given)
    graph.send(image_message(clip_images(1)[0], graph.next_stamp()))
    graph.wait(lambda: bool(graph.received['mask']), 'a mask')
    late = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    graph.client.create_subscription(Image, '/segmentation/mask', graph.received['late'].append, late)
    graph.wait(lambda: bool(graph.received['late']), 'the latched mask')
    assert graph.stream.camera.subscription.qos_profile.depth == 3
    assert graph.stream.camera.subscription.qos_profile.reliability is BEST_EFFORT
