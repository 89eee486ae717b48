"""ROS messages to arrays and back."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from vss_ros.engine.frames import Frame
from vss_ros.engine.labels import resize_labels
from vss_ros.images.image_decoding import decode_image_message
from vss_ros.images.image_error import ImageError
from vss_ros.msg import KeyFrameDecision
from vss_ros.node.bridge import bridged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from rclpy.node import Node

    from vss_ros.engine.frames import FrameResult

NANOSECONDS = 1_000_000_000


def stamp_to_ns(stamp: Time) -> int:
    """Return a ROS time in nanoseconds."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def ns_to_stamp(nanoseconds: int) -> Time:
    """Return nanoseconds as a ROS time."""
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return Time(sec=seconds, nanosec=rest)


def checked_stamp(stamp: Time) -> int:
    """Return a camera's stamp in nanoseconds; raise an ``ImageError`` where it is no time."""
    if stamp.nanosec >= NANOSECONDS:
        raise ImageError(
            'stamp', f'expected a stamp with nanosec below 10^9, got {stamp.nanosec}; mend the camera driver'
        )
    return stamp_to_ns(stamp)


def header_of(message: Any) -> Header:
    """Return the header of a camera message; foxglove_msgs spell it out in two fields."""
    if hasattr(message, 'header'):
        return message.header
    return Header(stamp=message.timestamp, frame_id=message.frame_id)


def to_frame(message: Image | CompressedImage, index: int, follows_ns: int | None = None) -> Frame:
    """Decode a camera message; rgb8 without padding is viewed, not copied.

    Raises:
        ImageError: The message is not a whole, plausible image; its ``reason`` is short enough to count by.
    """
    stamp_ns = checked_stamp(message.header.stamp)
    try:
        image = decode_image_message(message)
    except ImageError as error:
        if error.reason != 'encoding' or hasattr(message, 'format'):
            raise
        image = bridged(message, error)
    return Frame(image, stamp_ns, index, follows_ns)


class ImageMessage:
    """An image message that is filled again and again; its memory is new only where the size is.

    Args:
        encoding: ``mono8``, ``16UC1`` (widened from 8 bits) or ``rgb8``.
    """

    def __init__(self, encoding: str) -> None:
        self._message = Image(encoding=encoding)
        self._pixels: NDArray[Any] = np.empty(0, np.uint8)

    def fill(self, pixels: NDArray[np.uint8], size: tuple[int, int], header: Header) -> Image:
        """Return the message, unpadded; it is valid until the next call.

        Args:
            pixels: ``(h, w)``, brought to ``size`` by nearest neighbour, or ``(H, W, 3)`` of that size.
            size: Height and width.
            header: Stamp and frame of the camera image.
        """
        shape = (*size, *pixels.shape[2:])
        if self._pixels.shape != shape:
            self._renew(shape)
        if self._pixels.dtype == pixels.dtype:
            resize_labels(pixels, size, self._pixels)
        else:
            self._pixels[...] = resize_labels(pixels, size)
        self._message.header = header
        return self._message

    def _renew(self, shape: tuple[int, ...]) -> None:
        message, kind = self._message, np.dtype('<u2' if self._message.encoding == '16UC1' else np.uint8)
        message.height, message.width = shape[:2]
        message.step = kind.itemsize * math.prod(shape[1:])
        # Not bytes: those are checked one by one on older distributions.
        message.data = array('B', bytes(message.height * message.step))
        self._pixels = np.frombuffer(message.data, kind).reshape(shape)


def to_decision(result: FrameResult, header: Header, latency: float) -> KeyFrameDecision:
    """Return the decision message of one answered image; ``latency`` in seconds."""
    decision = result.decision
    return KeyFrameDecision(
        header=header,
        frame_index=decision.frame_index,
        is_key_frame=decision.is_key_frame,
        reason=decision.reason.value,
        # float: the generated C code aborts the whole process when it meets an integer here.
        predicted_deviation=float(decision.predicted_deviation),
        threshold=float(decision.threshold),
        key_frame_stamp=ns_to_stamp(decision.key_frame_stamp_ns),
        frames_since_key=decision.frames_since_key,
        track=result.track.value,
        features_accurate=result.features_accurate,
        latency=latency,
    )


LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


def create_label_info(node: Node, names: Sequence[str]) -> Any | None:
    """Publish the classes' names on ``~/label_info`` once, latched; return the publisher, if any."""
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
