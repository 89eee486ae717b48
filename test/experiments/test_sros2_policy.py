"""The example policy for SROS2 names what the real node publishes, subscribes to and serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')
pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')

from experiments.sros2_policy import policy
from vss_ros.node.process import load_message_type
from vss_ros.resources import resource

if TYPE_CHECKING:
    from collections.abc import Callable

    from node_graph import Graph


def test_the_policy_is_that_of_the_node(start: Callable[..., Graph]) -> None:
    graph = start()
    wanted = resource('config', 'sros2', 'segmentation.policy.xml').read_text()
    if load_message_type('vision_msgs/msg/LabelInfo'):
        assert '~/label_info' in wanted
    said = ''.join(line for line in wanted.splitlines(keepends=True) if 'label_info' not in line)
    graph.wait(
        lambda: policy(graph.client).replace('            <topic>~/label_info</topic>\n', '') == said, 'all'
    )
