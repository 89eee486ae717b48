"""What the status says of a camera: who publishes, what stamps and frames are, who subscribes in vain."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')
pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')

from node_graph import Graph, image_message
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from experiments.robot import clip as clip_images

if TYPE_CHECKING:
    from collections.abc import Callable

OTHER_TYPE = """
import rclpy
from sensor_msgs.msg import CompressedImage
rclpy.init()
node = rclpy.create_node('other')
node.create_publisher(CompressedImage, '/image_raw', 1)
while rclpy.ok():  # a signal that comes between two looks is seen at the next
    rclpy.spin_once(node, timeout_sec=0.5)
"""
STALE, WARN = b'\x03', b'\x01'


def wait_for_status(graph: Graph, level: bytes, *words: str) -> None:
    def said() -> bool:
        status = graph.received['diagnostics'][-1].status[0] if graph.received['diagnostics'] else None
        return status is not None and status.level == level and all(word in status.message for word in words)

    graph.wait(said, f'a status of level {level[0]} with {words}')


def test_where_no_image_comes_the_status_says_who_publishes(start: Callable[..., Graph]) -> None:
    graph = start(propagation='none', qos='reliable')
    wait_for_status(graph, STALE, '/image_raw', '/client publishes sensor_msgs/msg/Image reliable')
    graph.client.destroy_publisher(graph.camera)
    wait_for_status(graph, STALE, 'nobody publishes')
    other = subprocess.Popen([sys.executable, '-c', OTHER_TYPE])  # one process may not give a topic two types
    words = '/other publishes sensor_msgs/msg/CompressedImage', 'expected sensor_msgs/msg/Image'
    wait_for_status(graph, STALE, *words)
    other.terminate()
    other.wait()
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    graph.client.create_publisher(Image, '/image_raw', best_effort)
    wait_for_status(graph, STALE, 'Image best_effort', 'asked for reliable; set qos to auto')


def test_odd_stamps_are_counted_and_said(start: Callable[..., Graph]) -> None:
    graph = start(propagation='none')
    (image,) = clip_images(1)
    second, now = 10**9, graph.client.get_clock().now().nanoseconds
    for stamp_ns in (5 * second, 5 * second, 4 * second, 0, now + 60 * second, -2 * second):
        graph.send(image_message(image, stamp_ns))
    counted = ('stamp_equal', 'time_jump', 'stamp_zero', 'stamp_ahead', 'stamp_negative')
    assert [graph.count(name) for name in counted] == [1, 1, 1, 1, 1]
    wait_for_status(graph, WARN, "the image's stamp is -2.000 s; mend the driver")


def test_a_change_of_frame_is_a_break_and_alternation_a_fault(start: Callable[..., Graph]) -> None:
    graph = start(track='blocking')
    for frame_id, image in zip('aabbab', clip_images(6), strict=True):
        message = image_message(image, graph.next_stamp())
        message.header.frame_id = frame_id
        graph.send(message)
    graph.wait(lambda: len(graph.received['key_frame']) == 6, 'six decisions')
    graph.wait(lambda: graph.count('frame_id_alternates') == 2, 'the last status')
    reasons = [decision.reason for decision in graph.received['key_frame']]
    assert reasons[0] == 'first'
    assert [reason == 'reset' for reason in reasons] == [False, False, True, False, True, True]
    assert graph.count('frame_id_changes') == 3
    assert graph.count('frame_id_alternates') == 2
    wait_for_status(graph, WARN, "between 'a' and 'b': two cameras on one topic", '/client publishes')


def test_a_subscriber_that_asks_for_more_than_is_offered_is_said(start: Callable[..., Graph]) -> None:
    graph = start(propagation='none')
    late = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    graph.client.create_subscription(Image, '/segmentation/mask', graph.received['late'].append, late)
    graph.wait(lambda: graph.count('incompatible_subscribers') == 1, 'the subscriber to be noticed')
    assert 'qos_overrides./segmentation/mask.publisher.durability' in graph.diagnostics['last_trouble']
