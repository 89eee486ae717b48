"""Names and colours of the published classes, latched: a subscriber that comes later gets them, too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from vss_ros.node.process import load_message_type

if TYPE_CHECKING:
    from rclpy.node import Node

    from vss_ros.images.classes import ClassTable

LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


def describe_classes(node: Node, table: ClassTable, base: str) -> list[Any]:
    """Publish the classes once, on ``classes`` and, where vision_msgs is installed, ``label_info``.

    The former is JSON: ``{"classes": [{"id": 0, "name": "sky", "colour": [128, 128, 128]}, …]}``.

    Returns:
        The publishers, which are to be kept.
    """
    rows = [
        {'id': number, 'name': name, 'colour': table.colours[number].tolist()}
        for number, name in enumerate(table.names)
    ]
    messages: dict[str, Any] = {'classes': String(data=json.dumps({'classes': rows}))}
    kind = load_message_type('vision_msgs/msg/LabelInfo')
    if kind is None:
        node.get_logger().info('no ~/label_info: the package vision_msgs is not installed')
    else:
        from vision_msgs.msg import VisionClass

        message = kind(
            class_map=[VisionClass(class_id=i, class_name=name) for i, name in enumerate(table.names)]
        )
        message.header.stamp = node.get_clock().now().to_msg()
        messages['label_info'] = message
    publishers = []
    for name, message in messages.items():
        publishers.append(node.create_publisher(type(message), f'{base}/{name}', LATCHED))
        publishers[-1].publish(message)
    return publishers
