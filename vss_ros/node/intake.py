"""How images come in: the topic and message type of each transport, and from messages to a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from rclpy.qos import ReliabilityPolicy

from vss_ros.engine.frames import Frame
from vss_ros.errors import VssError
from vss_ros.images.image_error import ImageError
from vss_ros.node.conversions import checked_stamp, header_of, stamp_to_ns, to_frame
from vss_ros.node.process import load_message_type

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rclpy.node import Node
    from std_msgs.msg import Header

VIDEO_DEPTH: Final = 30
MOST_WAITING: Final = 300
"""Packets that wait for a busy worker; when there are more, decoding goes on at a later I-frame."""


def reliability(wanted: str, offered: Sequence[ReliabilityPolicy]) -> ReliabilityPolicy:
    """Return how to subscribe, for a value of the parameter ``qos`` and what the topic's publishers offer."""
    best_effort = ReliabilityPolicy.BEST_EFFORT in offered if wanted == 'auto' else wanted == 'best_effort'
    return ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE


class Transport(NamedTuple):
    """What to subscribe to."""

    message_type: str
    topic: str
    is_video: bool
    """Whether each message rests on the ones before, so that none may be left out."""

    @property
    def depth(self) -> int:
        """Messages that are kept: only the newest image counts, but every packet of a video."""
        return VIDEO_DEPTH if self.is_video else 1

    def load(self) -> Any:
        """Return the message class; raise a ``VssError`` where it is not installed."""
        loaded = load_message_type(self.message_type)
        if loaded is None:
            package = self.message_type.partition('/')[0]
            raise VssError(
                f'expected {self.message_type}, which is not installed; install {package} and source it'
            )
        return loaded


TRANSPORTS: Final = {
    'raw': Transport('sensor_msgs/msg/Image', 'image_raw', is_video=False),
    'compressed': Transport('sensor_msgs/msg/CompressedImage', 'image_raw/compressed', is_video=False),
    'video': Transport('sensor_msgs/msg/CompressedImage', 'image_raw/video', is_video=True),
    'foxglove': Transport('foxglove_msgs/msg/CompressedVideo', 'image_raw/foxglove', is_video=True),
    'ffmpeg': Transport('ffmpeg_image_transport_msgs/msg/FFMPEGPacket', 'image_raw/ffmpeg', is_video=True),
}
"""By the values of the parameter ``image_transport``."""


SUFFIXES: Final = ('compressed', 'foxglove', 'ffmpeg')
"""Last names of topics that do not carry raw images; a camera may well call itself video."""


def camera_transport(node: Node, wanted: str, camera: str = '') -> Transport:
    """Return the transport to subscribe to, with the topic as it is remapped.

    As image_transport does it: the base name is resolved first, so that remapping ``image_raw`` is enough. A
    rule for the whole name wins; a base name that ends like a transport's topic chooses that transport.

    Args:
        node: The node whose names are remapped.
        wanted: The parameter ``image_transport``.
        camera: Name of one of several, below which the topics are.
    """
    below = f'{camera}/' if camera else ''
    base = node.resolve_topic_name(f'{below}image_raw')
    ending = base.rpartition('/')[2]
    if ending in SUFFIXES and wanted in {'raw', ending}:
        return TRANSPORTS[ending]._replace(topic=base)
    transport = TRANSPORTS[wanted]
    whole = node.resolve_topic_name(below + transport.topic)
    if whole == node.resolve_topic_name(below + transport.topic, only_expand=True):
        whole = base + transport.topic.removeprefix('image_raw')
    return transport._replace(topic=whole)


class Received(NamedTuple):
    """Messages that wait for the worker, oldest first, and when the newest came."""

    messages: tuple[Any, ...]
    at: float
    """Seconds of ``time.perf_counter``."""
    follows_ns: int | None
    """Stamp of the image received before the first of these, nanoseconds."""
    lost: bool = False
    """Whether packets are missing before the first of these."""


def merge(waiting: Received, newer: Received) -> Received:
    """Return both, for a video: the newer picture cannot be decoded without the waiting ones."""
    messages = waiting.messages + newer.messages
    if newer.lost or len(messages) > MOST_WAITING:
        return newer._replace(lost=True)
    return Received(messages, newer.at, waiting.follows_ns, waiting.lost)


class Intake(Protocol):
    """Turns what was received into the frame to segment."""

    def frame(self, received: Received, index: int) -> tuple[Frame, Header] | None:
        """Return the newest frame with its header, None where there is none yet.

        Raises:
            ImageError: The message is no whole image.
        """


class ImageIntake:
    """Single images: the newest counts."""

    def frame(self, received: Received, index: int) -> tuple[Frame, Header] | None:
        """Return the newest message's frame; see :class:`Intake`."""
        message = received.messages[-1]
        return to_frame(message, index, received.follows_ns), message.header


class VideoIntake:
    """Packets of a video: all are decoded, the newest picture counts.

    Args:
        on_reject: Called with each damaged packet's error.
        on_wait: Called with the number of packets that were of no use for want of an I-frame, and whether
            they are the first to wait.
    """

    def __init__(self, on_reject: Callable[[ImageError], None], on_wait: Callable[[int, bool], None]) -> None:
        # Imported here: only video topics need the video library.
        from vss_ros.images.video_decoding import VideoDecoder

        self._on_reject, self._on_wait = on_reject, on_wait
        self._decoder = VideoDecoder(lambda _, error: on_reject(error))
        self._reported = False
        self._last_ns = 0

    def frame(self, received: Received, index: int) -> tuple[Frame, Header] | None:
        """Decode all messages and return the newest picture's frame; see :class:`Intake`."""
        from vss_ros.images.video_decoding import VideoPacket

        stamps = [stamp_to_ns(header_of(message).stamp) for message in received.messages]
        # A stamp that goes back is a recording that starts anew, perhaps in the middle of a group.
        if received.lost or any(a > b for a, b in zip([self._last_ns, *stamps], stamps, strict=False)):
            self._decoder.lost()
        self._last_ns = stamps[-1]
        waited = self._decoder.waited
        picture = self._decoder.decode(
            [VideoPacket(message.data, _format_of(message)) for message in received.messages]
        )
        if (waiting := self._decoder.waited - waited) > 0:
            self._on_wait(waiting, not self._reported)
        self._reported = self._decoder.waiting and (self._reported or waiting > 0)
        if picture is None:
            return None
        header = header_of(received.messages[picture.packet])
        try:
            stamp_ns = checked_stamp(header.stamp)
        except ImageError:
            self._decoder.skip()
            raise
        follows_ns = stamps[picture.packet - 1] if picture.packet else received.follows_ns
        return Frame(picture.image, stamp_ns, index, follows_ns, picture.codec), header


def _format_of(message: Any) -> str:
    return str(message.encoding if hasattr(message, 'encoding') else message.format)
