"""What a player sends: timed CDR messages from a bag, or made from a video or image folder."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from rosbags.interfaces import ConnectionExtRosbag2, QosDurability

from vss_ros.errors import VssError
from vss_ros.images.image_decoding import codec_of
from vss_ros.recordings.bags import (
    CAMERA_INFO,
    CAMERA_TYPES,
    COMPRESSED_IMAGE,
    COMPRESSED_VIDEO,
    FFMPEG_PACKET,
    IMAGE,
    deserialise,
    is_bag,
    message_types,
    open_bag,
    read_messages,
)
from vss_ros.recordings.camera_bag import choose_camera
from vss_ros.recordings.checked_bag import open_checked
from vss_ros.recordings.messages import camera_info, raw_image
from vss_ros.recordings.open import open_source
from vss_ros.recordings.source import is_mask_topic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from rosbags.interfaces import Connection

    from vss_ros.recordings.bags import BagReader

# A stamp of 0 means "no stamp" in ROS, and a clock at 0 means "no clock yet".
START_NS = 10**9
"""Where the time of sources begins that count from 0, in nanoseconds."""


class Topic(NamedTuple):
    """A topic to be played."""

    name: str
    msgtype: str
    messages: int
    """How many there are in one round; 0 where unknown."""
    latched: bool = False
    """Whether late subscribers get the last message too."""

    @property
    def is_camera(self) -> bool:
        """Whether it carries camera images rather than masks or other data."""
        return self.msgtype in CAMERA_TYPES and not is_mask_topic(self.name)


class TimedMessage(NamedTuple):
    """One message of a playback."""

    time_ns: int
    """When to send it, on the recording's own clock, in nanoseconds."""
    topic: str
    data: bytes
    """CDR bytes."""


@dataclass(frozen=True, slots=True)
class Playback:
    """Messages in order of time; every iteration starts from the beginning."""

    topics: Sequence[Topic]
    read: Callable[[], Iterator[TimedMessage]]
    """Begins one round."""

    def __iter__(self) -> Iterator[TimedMessage]:
        return self.read()


@contextmanager
def open_playback(
    path: Path, *, topics: Sequence[str] = (), fps: float = 15.0, salvage: bool = False
) -> Iterator[Playback]:
    """Open a bag, video or image folder for playing.

    Args:
        path: See :func:`vss_ros.recordings.open.open_source`.
        topics: Send only these; all by default.
        fps: Rate of an image folder.
        salvage: Read all of a bag first and, where it is damaged, give every complete message.

    Yields:
        The playback. Videos and folders become ``/camera/image_raw`` (rgb8), ``/camera/camera_info`` and,
        where there are masks, ``/camera/mask`` (mono8).

    Raises:
        VssError: It can't be read, or lacks one of the topics.
    """
    if is_bag(path):
        with open_checked(path) if salvage else open_bag(path) as reader:
            yield _play_bag(reader, topics)
    else:
        yield _play_source(path, topics, fps)


def _play_bag(reader: BagReader, wanted: Sequence[str]) -> Playback:
    _check_topics(wanted, [connection.topic for connection in reader.connections])
    connections = [c for c in reader.connections if not wanted or c.topic in wanted]
    topics = [Topic(c.topic, c.msgtype, c.msgcount, _is_latched(c)) for c in connections]

    def read() -> Iterator[TimedMessage]:
        for connection, time_ns, data in read_messages(reader, connections):
            yield TimedMessage(time_ns, connection.topic, data)

    return Playback(topics, read)


def _is_latched(connection: Connection) -> bool:
    return isinstance(connection.ext, ConnectionExtRosbag2) and any(
        profile.durability is QosDurability.TRANSIENT_LOCAL for profile in connection.ext.offered_qos_profiles
    )


def _play_source(path: Path, wanted: Sequence[str], fps: float) -> Playback:
    """Return a video's or folder's frames as raw images, after a look at what topics it makes."""
    with open_source(path, fps=fps) as source:
        names = {'/camera/image_raw': IMAGE, '/camera/camera_info': CAMERA_INFO}
        names |= {'/camera/mask': IMAGE} if source.has_masks else {}
        offered = [Topic(name, msgtype, source.frame_count or 0) for name, msgtype in names.items()]
    _check_topics(wanted, list(names))
    topics = [topic for topic in offered if not wanted or topic.name in wanted]

    def read() -> Iterator[TimedMessage]:
        with open_source(path, fps=fps) as source:
            for frame, mask in source:
                stamp = frame.stamp_ns + START_NS
                messages = {
                    '/camera/image_raw': raw_image(frame.image, stamp),
                    '/camera/camera_info': camera_info(frame.image.shape[:2], stamp),
                    '/camera/mask': None if mask is None else raw_image(mask, stamp),
                }
                for name, msgtype, *_ in topics:
                    if messages[name] is not None:
                        data = bytes(message_types().serialize_cdr(messages[name], msgtype))
                        yield TimedMessage(stamp, name, data)

    return Playback(topics, read)


def _check_topics(wanted: Sequence[str], offered: Sequence[str]) -> None:
    if missing := sorted(set(wanted) - set(offered)):
        raise VssError(
            f'expected topics among {", ".join(sorted(offered)) or "none"}, got {", ".join(missing)}'
        )


@dataclass(frozen=True, slots=True)
class CameraTopic:
    """A topic with camera images."""

    name: str
    msgtype: str
    """Such as ``sensor_msgs/msg/Image``."""
    transport: str
    """What the node's parameter ``image_transport`` calls it."""
    messages: int
    """How many there are; 0 where unknown."""


def find_camera(path: Path, wanted: str = '', *, but: str = '', salvage: bool = False) -> CameraTopic:
    """Return the camera topic of a bag, or the one under which a video or folder is played.

    Args:
        path: What shall be played.
        wanted: The topic's name, needed where there are several.
        but: A topic that is none, such as masks under an unusual name.
        salvage: Look into a damaged bag too; see :func:`~vss_ros.recordings.playback.open_playback`.

    Raises:
        VssError: It cannot be read, or the choice is unclear.
    """
    with open_playback(path, salvage=salvage) as playback:
        names = [topic.name for topic in playback.topics if topic.msgtype in CAMERA_TYPES]
        chosen = choose_camera(path, names, wanted, but)
        topic = next(topic for topic in playback.topics if topic.name == chosen)
    return CameraTopic(topic.name, topic.msgtype, _transport(path, topic, salvage), topic.messages)


def _transport(path: Path, topic: Topic, salvage: bool) -> str:
    """Return how the images travel; a CompressedImage says in its format whether it is one of a video."""
    if topic.msgtype != COMPRESSED_IMAGE:
        return {COMPRESSED_VIDEO: 'foxglove', FFMPEG_PACKET: 'ffmpeg'}.get(topic.msgtype, 'raw')
    with open_playback(path, topics=[topic.name], salvage=salvage) as playback:
        for message in playback:
            return 'video' if codec_of(deserialise(message.data, topic.msgtype).format) else 'compressed'
    return 'compressed'
