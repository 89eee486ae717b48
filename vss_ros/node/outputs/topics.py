"""What the node publishes on, how that may be overridden, and who asks for what is not offered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rclpy.event_handler import PublisherEventCallbacks
from rclpy.qos import QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from rclpy.lifecycle import LifecycleNode
    from rclpy.node import Node


def create_output(node: LifecycleNode, kind: Any, topic: str, note: Callable[[str, int, str], None]) -> Any:
    """Return a publisher of a message type; ``note`` is told of subscribers that get nothing."""
    return node.create_lifecycle_publisher(
        kind,
        topic,
        QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE),
        qos_overriding_options=overridable(node, topic, 'publisher'),
        event_callbacks=PublisherEventCallbacks(
            incompatible_qos=lambda event: note(
                'incompatible_subscribers', event.total_count_change, refused_subscribers(node, topic)
            )
        ),
    )


def overridable(node: Node, topic: str, kind: str) -> QoSOverridingOptions:
    """Return which policies ``qos_overrides.TOPIC.KIND`` may set; ``kind`` is subscription or publisher.

    Reliability of a subscription only where it is given: it else follows the publishers'.
    """
    policies = [QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH]
    name = f'qos_overrides.{node.resolve_topic_name(topic)}.{kind}.reliability'
    if kind == 'publisher':
        policies += [QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY]
    elif name in node._parameter_overrides:
        policies.append(QoSPolicyKind.RELIABILITY)
    return QoSOverridingOptions(policies)


def refused_subscribers(node: Node, topic: str) -> str:
    """Return a sentence on who subscribes to one of the node's topics and asks for what is not offered."""
    topic = node.resolve_topic_name(topic)
    asked = [
        f'{s.node_namespace.rstrip("/")}/{s.node_name} asks for {s.qos_profile.reliability.name.lower()}, '
        f'{s.qos_profile.durability.name.lower()}'
        for s in node.get_subscriptions_info_by_topic(topic)
    ]
    return (
        f'{topic}: a subscriber gets nothing, its quality of service is not offered ({"; ".join(asked)}); '
        f'set qos_overrides.{topic}.publisher.durability or .reliability'
    )
