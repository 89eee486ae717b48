"""What the outputs need beside the image, its CameraInfo and its depth: subscribed to while wanted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from vss_ros.node.conversions import stamp_to_ns
from vss_ros.node.intake import SUFFIXES, reliability
from vss_ros.node.serialised_image import image_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from rclpy.node import Node

KEPT = 10
"""Messages kept for images that are yet to be answered."""


class Input:
    """The newest messages of one topic, by their stamps; every method may be called from any thread.

    Args:
        node: What subscribes.
        topic: Where.
        slack: Most seconds between two stamps that belong together.
        on_message: Called after each message with its stamp in nanoseconds.
    """

    def __init__(
        self, node: Node, topic: str, slack: float = 0.0, on_message: Callable[[int], None] = lambda _: None
    ) -> None:
        self.topic = node.resolve_topic_name(topic)
        self._node, self._slack_ns, self._on_message = node, round(slack * 1e9), on_message
        self._lock = threading.Lock()
        self._kept: dict[int, Any] = {}
        self._subscription: Any = None

    def want(self, wanted: bool) -> None:
        """Subscribe, as is published, or no longer; called again and again by the executor's thread."""
        if not wanted and self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
            self._kept = {}
        if not wanted or self._subscription is not None:
            return
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        if not publishers:
            return
        name = publishers[0].topic_type.rpartition('/')[2]
        kind = {'CameraInfo': CameraInfo, 'PointCloud2': PointCloud2}.get(name, Image)
        offered = reliability('auto', [publisher.qos_profile.reliability for publisher in publishers])
        self._subscription = self._node.create_subscription(
            kind, self.topic, self._arrived, QoSProfile(depth=5, reliability=offered), raw=kind is Image
        )

    def _arrived(self, message: Any) -> None:
        message = image_of(message) if isinstance(message, bytes) else message
        stamp_ns = stamp_to_ns(message.header.stamp)
        with self._lock:
            self._kept[stamp_ns] = message
            while len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
        self._on_message(stamp_ns)

    def of(self, stamp_ns: int) -> Any | None:
        """Return the message that belongs to a stamp, the nearest one; None where there is none."""
        with self._lock:
            nearest = min(self._kept, key=lambda other: abs(other - stamp_ns), default=None)
            if nearest is None or abs(nearest - stamp_ns) > self._slack_ns:
                return None
            return self._kept[nearest]

    def newest(self) -> Any | None:
        """Return the last message that came, if any."""
        with self._lock:
            return next(reversed(self._kept.values()), None)


def info_topic(image_topic: str) -> str:
    """Return where a camera's CameraInfo is by convention: beside its images."""
    folder, _, last = image_topic.rpartition('/')
    if last in SUFFIXES:
        folder = folder.rpartition('/')[0]
    return f'{folder}/camera_info' if folder or image_topic.startswith('/') else 'camera_info'
