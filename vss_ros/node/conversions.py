"""ROS messages to arrays and back."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from vss_ros.engine.frames import Frame
from vss_ros.engine.labels import resize_labels
from vss_ros.images.image_decoding import decode_image_message
from vss_ros.images.image_error import ImageError
from vss_ros.images.run_length import run_lengths
from vss_ros.msg import KeyFrameDecision
from vss_ros.node.bridge import bridged

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
        converted = bridged(message)
        if converted is None:
            raise  # as it was raised: kept in a variable, it would hold the image until garbage is collected
        image = converted
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


class RunLengthMessage:
    """A mask in the form that Autoware sends: height, width and step of a mono8 image, runs as its data."""

    def fill(self, labels: NDArray[np.uint8], size: tuple[int, int], header: Header) -> Image:
        """Return a message of labels ``(h, w)``, brought to ``size`` (height, width) by nearest neighbour."""
        message = Image(header=header, height=size[0], width=size[1], encoding='mono8', step=size[1])
        message.data = array('B', run_lengths(resize_labels(labels, size)).tobytes())
        return message


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
