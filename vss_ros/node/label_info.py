"""Class names for subscribers, where vision_msgs is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rclpy.node import Node

LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


def create_label_info(node: Node, names: Sequence[str]) -> Any | None:
    """Publish ``~/label_info`` once, latched; returns the publisher, None without vision_msgs.

    Args:
        node: Whose topic it is.
        names: Class names in order of their ids.

    """
    try:
        from vision_msgs.msg import LabelInfo, VisionClass
    except ImportError:
        node.get_logger().info('no ~/label_info: the package vision_msgs is not installed')
        return None
    publisher = node.create_publisher(LabelInfo, '~/label_info', LATCHED)
    message = LabelInfo(class_map=[VisionClass(class_id=i, class_name=name) for i, name in enumerate(names)])
    message.header.stamp = node.get_clock().now().to_msg()
    publisher.publish(message)
    return publisher
