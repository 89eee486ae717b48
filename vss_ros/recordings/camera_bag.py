"""The camera images of a rosbag2 bag, whole or damaged, with the masks that carry the same stamps."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from vss_ros.engine.frames import Frame
from vss_ros.errors import VssError
from vss_ros.images.image_decoding import (
    ImageError,
    decode_compressed,
    decode_mask,
    decode_raw,
    decode_raw_mask,
)
from vss_ros.images.video_formats import codec_of
from vss_ros.recordings.bags import (
    CAMERA_TYPES,
    COMPRESSED_IMAGE,
    COMPRESSED_VIDEO,
    FFMPEG_PACKET,
    deserialise,
    read_messages,
)
from vss_ros.recordings.masks import MaskPairs
from vss_ros.recordings.messages import stamp_ns
from vss_ros.recordings.salvage.checked_bag import open_checked
from vss_ros.recordings.source import Source, SourceFrame, is_mask_topic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from rosbags.interfaces import Connection

    from vss_ros.engine.frames import CodecFrame
    from vss_ros.images.video_decoding import VideoDecoder
    from vss_ros.recordings.bags import BagReader
    from vss_ros.recordings.source import OnReject

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
    ) -> None:
        """Open the bag, check all of it and choose the topics.

        Args:
            path: Bag folder, or a bare ``.mcap`` or ``.db3`` file.
            image_topic: Needed where several topics carry images.
            mask_topic: By default the only image topic whose name holds ``mask``, if there is one.
            on_reject: See :class:`Source`.

        Raises:
            VssError: Nothing of the bag reads, it is refused (see
                ``open_checked``), or the choice of a topic is unclear.
        """
        super().__init__(path, on_reject)
        with ExitStack() as stack:
            self._bag = stack.enter_context(open_checked(path))
            self.partial = self._bag.partial
            if self.partial:
                _log.warning('%s is damaged, only a part of it can be read: %s', path, self.partial)
            self._image = _choose_image(self._bag, image_topic, mask_topic)
            self._mask = _choose_mask(self._bag, mask_topic)
            duration = (self._bag.end_time - self._bag.start_time) / 1e9
            self._stack = stack.pop_all()
        self._video: VideoDecoder | None = None
        count = self._image.msgcount
        self._fps = (count - 1) / duration if count > 1 and duration > 0 else None

    @property
    def topic(self) -> str:
        """The topic that is read."""
        return self._image.topic

    @property
    def frame_count(self) -> int:
        """Messages on the image topic."""
        return self._image.msgcount

    @property
    def fps(self) -> float | None:
        """Messages over the bag's duration."""
        return self._fps

    @property
    def has_masks(self) -> bool:
        """Whether a mask topic was named or found."""
        return self._mask is not None

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
        index, first = 0, None
        for number, (_, _, data) in enumerate(read_messages(self._bag, [self._image])):
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
                self._skip()
                continue
            yield SourceFrame(Frame(image, stamp, index, codec=codec), mask)
            index += 1
        if self._video is not None and self._video.waited:
            _log.warning('%s: %d packets left out for want of an I-frame', self.path, self._video.waited)
        masks.finish(all_came=first is None)
        if first is not None and not index:
            raise VssError(
                f'{self.path}: no image on {self._image.topic} can be used, the first because: {first}'
            )

    def _decode(self, message: Any) -> tuple[NDArray[np.uint8], CodecFrame | None] | None:
        """Decode whatever the topic carries to RGB; None for a packet that waits for an I-frame."""
        format_name = _video_format(message, self._image.msgtype)
        if not format_name:
            return _decode_image(message), None
        from vss_ros.images.video_decoding import VideoDecoder, VideoPacket

        self._video = self._video or VideoDecoder(_refuse)
        picture = self._video.decode([VideoPacket(message.data, format_name)])
        return None if picture is None else (picture.image, picture.codec)

    def _skip(self) -> None:
        """Note that a frame is left out."""
        if self._video is not None:
            self._video.skip()

    def _masks_by_stamp(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield stamp and mask in bag order; damaged masks are reported like damaged frames."""
        if self._mask is None:
            return
        for number, (_, _, data) in enumerate(read_messages(self._bag, [self._mask])):
            try:
                message = _deserialise(data, self._mask.msgtype)
                yield stamp_ns(message), _decode_mask(message)
            except ImageError as error:
                self.reject(f'mask {number}', error)


def _choose_image(reader: BagReader, topic: str | None, mask_topic: str | None) -> Connection:
    """Find the connection with the camera images."""
    images = _image_connections(reader)
    if topic is None:
        chosen = [
            c
            for c in images
            if c.topic != mask_topic
            and not is_mask_topic(c.topic)
            and not c.topic.endswith('/compressedDepth')
        ]
    else:
        chosen = [c for c in images if c.topic == topic]
    if len(chosen) != 1:
        raise _no_choice(reader, f'images on {topic}' if topic else 'exactly one topic with camera images')
    return chosen[0]


def _choose_mask(reader: BagReader, topic: str | None) -> Connection | None:
    """Find the connection with the masks; None where nobody asked and none stands out."""
    if topic is None:
        masks = [c for c in _image_connections(reader) if is_mask_topic(c.topic)]
        return masks[0] if len(masks) == 1 else None
    for connection in _image_connections(reader):
        if connection.topic == topic:
            return connection
    raise _no_choice(reader, f'masks on {topic}')


def _image_connections(reader: BagReader) -> list[Connection]:
    """List the topics that carry pictures."""
    return [c for c in reader.connections if c.msgtype in CAMERA_TYPES]


def _no_choice(reader: BagReader, wanted: str) -> VssError:
    """List what there is to choose from."""
    listed = ', '.join(sorted(c.topic for c in _image_connections(reader))) or 'none'
    return VssError(f'expected {wanted} in {reader.path}, got {listed}; name the topic to read')


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
    """Leave a damaged packet's frame out, as any damaged frame."""
    raise error


def _decode_image(message: Any) -> NDArray[np.uint8]:
    """Decode either image type to RGB."""
    if hasattr(message, 'format'):
        return decode_compressed(message.data, message.format)
    return decode_raw(message.data, message.height, message.width, message.encoding, message.step)


def _decode_mask(message: Any) -> NDArray[np.uint8]:
    """Decode either image type to class ids."""
    if hasattr(message, 'format'):
        return decode_mask(message.data)
    return decode_raw_mask(message.data, message.height, message.width, message.encoding, message.step)
