"""The topics of one camera's stream, and what an answered image goes through on them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sensor_msgs.msg import Image

from vss_ros.engine.labels import resize_labels
from vss_ros.images.class_map import load_class_map
from vss_ros.msg import KeyFrameDecision
from vss_ros.node.conversions import ImageMessage, RunLengthMessage, to_decision
from vss_ros.node.outputs.class_topics import describe_classes
from vss_ros.node.outputs.derived import Answer, Derived
from vss_ros.node.outputs.profiles import profile_of, topic
from vss_ros.node.outputs.topics import create_output

if TYPE_CHECKING:
    from collections.abc import Callable

    from rclpy.lifecycle import LifecycleNode
    from std_msgs.msg import Header

    from vss_ros.engine.frames import Frame, FrameResult
    from vss_ros.engine.options import NodeConfig
    from vss_ros.images.classes import ClassTable


class Outputs:
    """Publishes the answers of one stream; nothing is made that nobody subscribed to.

    Args:
        node: What publishes.
        config: The node's parameters.
        table: The classes that the network knows.
        note: Called with a counter's name, what to add, and a sentence that says it.
        base: Of the topics' names: ``~``, or ``~/front`` for one camera of several.
        image_topic: Where the images come from.
    """

    def __init__(
        self,
        node: LifecycleNode,
        config: NodeConfig,
        table: ClassTable,
        note: Callable[[str, int, str], None],
        base: str = '~',
        image_topic: str = 'image_raw',
    ) -> None:
        self._node = node
        profile = profile_of(config)
        self._classes = load_class_map(config.class_map or profile.class_map, table)
        self._mask = create_output(node, Image, topic(profile.mask, base), note)
        coloured = profile.coloured and create_output(node, Image, topic(profile.coloured, base), note)
        self._coloured = coloured or None
        self._confidence = create_output(node, Image, f'{base}/confidence', note)
        self._overlay = create_output(node, Image, f'{base}/overlay', note)
        self._key_frame = create_output(node, KeyFrameDecision, f'{base}/key_frame', note)
        self._derived = Derived(
            node, config, table.names, self._classes, note, base, node.resolve_topic_name(image_topic)
        )
        self._latched = describe_classes(node, self._classes.table, base)
        self._mask_message = RunLengthMessage() if profile.run_length else ImageMessage(config.mask_encoding)
        self._confidence_message = ImageMessage('mono8')
        self._overlay_message, self._coloured_message = ImageMessage('rgb8'), ImageMessage('rgb8')

    @property
    def confident(self) -> bool:
        """Whether somebody wants to know how sure the answers are."""
        return bool(self._confidence.get_subscription_count()) or self._derived.confident

    def answer(self, result: FrameResult, header: Header, received_at: float) -> float:
        """Publish mask and decision; return the latency in seconds since ``received_at`` (perf_counter)."""
        if self._mask.get_subscription_count():
            labels = self._classes.labels(result.labels)
            self._mask.publish(self._mask_message.fill(labels, result.size, header))
        latency = time.perf_counter() - received_at
        self._key_frame.publish(to_decision(result, header, latency))
        return latency

    def follow_up(self, frame: Frame, result: FrameResult, header: Header) -> None:
        """Publish what comes after the mask."""
        if result.confidence is not None and self._confidence.get_subscription_count():
            self._confidence.publish(self._confidence_message.fill(result.confidence, result.size, header))
        if self._overlay.get_subscription_count():
            blended = self._classes.table.blend(frame.image, self._classes.labels(result.labels))
            self._overlay.publish(self._overlay_message.fill(blended, result.size, header))
        if self._coloured is not None and self._coloured.get_subscription_count():
            labels = resize_labels(self._classes.labels(result.labels), result.size)
            colours = self._classes.table.colourise(labels)
            self._coloured.publish(self._coloured_message.fill(colours, result.size, header))
        self._derived.offer(Answer(frame, result, header))

    def follow(self) -> None:
        """Subscribe to what subscribed topics need; called about once a second by the executor's thread."""
        self._derived.follow()

    def close(self) -> None:
        """Give the topics back."""
        self._derived.close()
        for publisher in (self._mask, self._coloured, self._confidence, self._overlay, self._key_frame):
            if publisher is not None:
                self._node.destroy_lifecycle_publisher(publisher)
        for publisher in self._latched:
            self._node.destroy_publisher(publisher)
