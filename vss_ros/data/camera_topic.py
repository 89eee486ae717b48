"""Which topic of a recording holds the camera's images, and how they travel on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vss_ros.data.bags import COMPRESSED_IMAGE, COMPRESSED_VIDEO, FFMPEG_PACKET, deserialise
from vss_ros.data.playback import open_playback
from vss_ros.data.video_formats import codec_of
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vss_ros.data.playback import Topic

DEPTH = '/compressedDepth'
"""Ending of topics whose compressed images are no pictures."""


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
        salvage: Look into a damaged bag too; see :func:`~vss_ros.data.playback.open_playback`.

    Raises:
        VssError: It cannot be read, or the choice is unclear.
    """
    with open_playback(path, salvage=salvage) as playback:
        topic = _choose(path, playback.topics, wanted, but)
    return CameraTopic(topic.name, topic.msgtype, _transport(path, topic, salvage), topic.messages)


def _choose(path: Path, topics: Sequence[Topic], wanted: str, but: str) -> Topic:
    found = [t for t in topics if t.is_camera and t.name != but and not t.name.endswith(DEPTH)]
    if wanted:
        found = [topic for topic in topics if topic.name == wanted]
    if len(found) == 1:
        return found[0]
    what = f'a topic {wanted}' if wanted else 'exactly one topic with camera images'
    names = ', '.join(topic.name for topic in topics if topic.is_camera) or 'none'
    raise VssError(f'{path}: expected {what}, got {names}; name the topic')


def _transport(path: Path, topic: Topic, salvage: bool) -> str:
    """Return how the images travel; a CompressedImage says in its format whether it is one of a video."""
    if topic.msgtype != COMPRESSED_IMAGE:
        return {COMPRESSED_VIDEO: 'foxglove', FFMPEG_PACKET: 'ffmpeg'}.get(topic.msgtype, 'raw')
    with open_playback(path, topics=[topic.name], salvage=salvage) as playback:
        for message in playback:
            return 'video' if codec_of(deserialise(message.data, topic.msgtype).format) else 'compressed'
    return 'compressed'
