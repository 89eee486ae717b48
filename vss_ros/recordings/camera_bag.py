"""The camera images of a rosbag2 bag, whole or damaged, with the masks that carry the same stamps."""

from __future__ import annotations

import logging
from contextlib import ExitStack, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from vss_ros.engine.frames import Frame
from vss_ros.errors import VssError
from vss_ros.images.image_decoding import codec_of, decode_image_message
from vss_ros.images.image_error import ImageError
from vss_ros.images.label_code import decode_ids_message
from vss_ros.recordings.bags import (
    CAMERA_TYPES,
    COMPRESSED_IMAGE,
    COMPRESSED_VIDEO,
    FFMPEG_PACKET,
    deserialise,
    read_messages,
)
from vss_ros.recordings.checked_bag import open_checked
from vss_ros.recordings.messages import stamp_ns
from vss_ros.recordings.source import MaskPairs, Source, SourceFrame, is_mask_topic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.engine.frames import CodecFrame
    from vss_ros.images.classes import ClassTable
    from vss_ros.images.video_decoding import VideoDecoder
    from vss_ros.recordings.source import OnReject

DEPTH: Final = '/compressedDepth'
"""Ending of topics whose compressed images are no pictures."""

_log = logging.getLogger(__name__)


class CameraBag(Source):
    """Images or video of one topic, stamped by their headers.

    A video's packets before its first I-frame, and after a damaged one up to the next, are left out.
    """

    def __init__(
        self,
        path: Path,
        *,
        image_topic: str | None = None,
        mask_topic: str | None = None,
        on_reject: OnReject | None = None,
        table: ClassTable | None = None,
    ) -> None:
        """Open the bag, check all of it and choose the topics.

        The arguments are those of :func:`~vss_ros.recordings.open.open_source`.

        Raises:
            VssError: Nothing of the bag reads, it is refused (see ``open_checked``), or the choice of a topic
                is unclear.
        """
        super().__init__(path, on_reject, table)
        with ExitStack() as stack:
            self._bag = stack.enter_context(open_checked(path))
            self.partial = self._bag.partial
            if self.partial:
                _log.warning('%s is damaged, only a part of it can be read: %s', path, self.partial)
            pictures = [c for c in self._bag.connections if c.msgtype in CAMERA_TYPES]
            foreign = [c.msgtype for c in self._bag.connections if c.msgtype.count('/') != 2]
            if foreign and not pictures:
                raise VssError(
                    f'{path}: expected messages of ROS 2, got {foreign[0]}, which is of ROS 1 '
                    'or no ROS; convert the recording, or play it through a bridge and record that'
                )
            topics = [c.topic for c in pictures]
            chosen = choose_camera(path, topics, image_topic, mask_topic)
            self._image = pictures[topics.index(chosen)]
            found = _find_masks(path, topics, mask_topic)
            self._mask = pictures[topics.index(found)] if found else None
            self._stack = stack.pop_all()
        self._video: VideoDecoder | None = None
        self.frame_count = count = self._image.msgcount
        duration = (self._bag.end_time - self._bag.start_time) / 1e9
        self.fps = (count - 1) / duration if count > 1 and duration > 0 else None
        self.has_masks = self._mask is not None

    def close(self) -> None:
        """Close the bag."""
        self._stack.close()

    def __iter__(self) -> Iterator[SourceFrame]:
        """Yield the images in bag order.

        Raises:
            VssError: No image can be used, or no mask belongs to its image.
        """
        name = f'{self.path}, topic {self._mask.topic if self._mask else None}'
        masks = MaskPairs(self._masks_by_stamp(), name, strict=self.partial is None)
        index, first, unstamped = 0, None, self._is_unstamped()
        for number, (_, bag_time, data) in enumerate(read_messages(self._bag, [self._image])):
            try:
                message = _deserialise(data, self._image.msgtype)
                decoded = self._decode(message)
                if decoded is None:
                    continue
                image, codec = decoded
                stamp = stamp_ns(message)
                mask = masks.mask_of(image, stamp)
            except ImageError as error:
                first = first or error
                self.reject(str(number), error)
                if self._video is not None:
                    self._video.skip()
                continue
            yield SourceFrame(Frame(image, bag_time if unstamped else stamp, index, codec=codec), mask)
            index += 1
        if self._video is not None and self._video.waited:
            _log.warning('%s: %d packets left out for want of an I-frame', self.path, self._video.waited)
        masks.finish(all_came=first is None)
        if first is not None and not index:
            raise VssError(
                f'{self.path}: no image on {self._image.topic} can be used, the first because: {first}'
            )

    def _is_unstamped(self) -> bool:
        """Say whether, and log that, the first two images have no stamp, so that those of the bag count."""
        stamps = []
        for _, _, data in islice(read_messages(self._bag, [self._image]), 2):
            with suppress(ImageError):
                stamps.append(stamp_ns(_deserialise(data, self._image.msgtype)))
        if stamps != [0, 0]:
            return False
        _log.warning('%s: images without stamps; the times at which they were recorded count', self.path)
        return True

    def _decode(self, message: Any) -> tuple[NDArray[np.uint8], CodecFrame | None] | None:
        """Decode a message of the topic to RGB; None for a packet that waits for an I-frame."""
        format_name = _video_format(message, self._image.msgtype)
        if not format_name:
            return decode_image_message(message), None
        from vss_ros.images.video_decoding import VideoDecoder, VideoPacket

        self._video = self._video or VideoDecoder(_refuse)
        picture = self._video.decode([VideoPacket(message.data, format_name)])
        return None if picture is None else (picture.image, picture.codec)

    def _masks_by_stamp(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield stamp and mask in bag order; damaged masks are reported like damaged frames."""
        if self._mask is None:
            return
        for number, (_, _, data) in enumerate(read_messages(self._bag, [self._mask])):
            try:
                message = _deserialise(data, self._mask.msgtype)
                yield stamp_ns(message), decode_ids_message(message, self.table, f'mask {number}')
            except ImageError as error:
                self.reject(f'mask {number}', error)


def choose_camera(path: Path, topics: list[str], wanted: str | None, masks: str | None = None) -> str:
    """Choose the topic with camera images among those with pictures, one entry for each publisher.

    Raises:
        VssError: There is no such topic, or the choice is unclear.
    """
    if wanted:
        found = [topic for topic in topics if topic == wanted]
    else:
        others = [topic for topic in topics if topic != masks and not is_mask_topic(topic)]
        found = [topic for topic in others if not topic.endswith(DEPTH)]
    if len(found) != 1:
        what = f'images on {wanted}' if wanted else 'exactly one topic with camera images'
        raise _no_choice(path, what, topics)
    return found[0]


def _find_masks(path: Path, topics: list[str], wanted: str | None) -> str | None:
    """Return the topic with the masks: by default the only one that is called so, if there is one."""
    if wanted is None:
        masks = [topic for topic in topics if is_mask_topic(topic)]
        return masks[0] if len(masks) == 1 else None
    if wanted not in topics:
        raise _no_choice(path, f'masks on {wanted}', topics)
    return wanted


def _no_choice(path: Path, wanted: str, topics: list[str]) -> VssError:
    listed = ', '.join(sorted(topics)) or 'none'
    return VssError(f'{path}: expected {wanted}, got {listed}; name the topic to read')


def _deserialise(data: bytes, msgtype: str) -> Any:
    """Read a message, taking damage for a damaged image."""
    try:
        return deserialise(data, msgtype)
    except VssError as error:
        raise ImageError('data', str(error)) from error


def _video_format(message: Any, msgtype: str) -> str:
    """Return the word that names a packet's codec, empty for a single image."""
    if msgtype == FFMPEG_PACKET:
        return str(message.encoding)
    if msgtype == COMPRESSED_VIDEO or (msgtype == COMPRESSED_IMAGE and codec_of(message.format)):
        return str(message.format)
    return ''


def _refuse(_: int, error: ImageError) -> None:
    raise error  # a damaged packet's frame is left out as any damaged frame
