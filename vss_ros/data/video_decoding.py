"""Packets of a compressed video topic → pictures and what the codec knows of their motion.

One message holds one whole picture of a stream without B-frames, parameter sets come with every I-frame, and
H.264 and HEVC are in Annex B form: what foxglove_msgs/CompressedVideo demands and encoders for live streams
do ("zero latency"). As each picture rests on the ones before, a damaged or lost packet costs all pictures up
to the next I-frame.

FFmpeg notices damage inside a packet of MPEG-1, -2, -4 and H.264, but hardly of HEVC; there it notices that
pictures are missing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import av
import numpy as np
from av.video.frame import PictureType

from vss_ros.data.codec import EXPORT_VECTORS, CodecReader
from vss_ros.data.image_checks import MAX_PIXELS, ImageError, check_size
from vss_ros.data.video_formats import CODECS, codec_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from vss_ros.data.image_decoding import ImageData
    from vss_ros.engine.frames import CodecFrame


class VideoPacket(NamedTuple):
    """One message of a video topic."""

    data: ImageData
    format: str
    """What the message says, see :func:`vss_ros.data.video_formats.codec_of`."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture."""

    image: NDArray[np.uint8]
    """RGB, ``(H, W, 3)``."""
    codec: CodecFrame
    packet: int
    """Which of the packets given it came from, counted from 0."""


class VideoDecoder:
    """Decodes one stream, every packet in order.

    Args:
        on_reject: Called with the place of a packet among those given and the reason why it was refused.
            Packets that only wait for an I-frame, at the start or after a refused one, are not reported.

    """

    def __init__(self, on_reject: Callable[[int, ImageError], None]) -> None:
        """Start without a stream; its first packet tells the codec."""
        self._on_reject = on_reject
        self.waited = 0
        """Packets passed over so far for want of an I-frame."""
        self._context: av.VideoCodecContext | None = None
        self._reader = CodecReader()
        self._codec = ''
        self._waiting = True
        self._number = 0

    @property
    def waiting(self) -> bool:
        """Whether the next picture has to be an I-frame."""
        return self._waiting

    def lost(self) -> None:
        """Note that packets are missing before the next."""
        self._waiting = True
        if self._context is not None:
            self._context.flush_buffers()

    def skip(self) -> None:
        """Note that the last picture returned was not used, so that vectors shall not lead to it."""
        self._reader.skip()

    def decode(self, packets: Sequence[VideoPacket]) -> Picture | None:
        """Decode packets in order and return the newest picture, None where there is none.

        Its codec frame tells an I-frame if any of the packets held one. It has vectors only if no other
        picture came between it and the last one returned.
        """
        newest: tuple[int, av.VideoFrame, CodecFrame] | None = None
        pictures, any_key = 0, False
        for place, packet in enumerate(packets):
            try:
                frame = self._decode(packet)
            except ImageError as error:
                self.lost()
                self._on_reject(place, error)
                continue
            if frame is None:
                self.waited += 1
                continue
            codec = self._reader.read(frame)
            newest = place, frame, codec
            pictures += 1
            any_key |= codec.is_key
        if newest is None:
            return None
        place, frame, codec = newest
        codec = replace(codec, is_key=any_key, vectors=codec.vectors if pictures == 1 else None)
        image: NDArray[Any] = frame.to_ndarray(format='rgb24')
        return Picture(np.ascontiguousarray(image, np.uint8), codec, place)

    def _decode(self, packet: VideoPacket) -> av.VideoFrame | None:
        """Return a packet's picture, None while waiting for an I-frame."""
        self._open(packet.format)
        assert self._context is not None
        self._number += 1
        octets = np.frombuffer(packet.data, np.uint8)
        if not octets.size:
            raise ImageError('data', 'expected a picture, got an empty packet; mend the encoder')
        # Not Packet(data): that is not padded, and decoders read beyond its end and see damage.
        padded = av.Packet(octets.size)
        padded.update(octets.tobytes())
        padded.pts = self._number
        try:
            frames = self._context.decode(padded)
        except (av.error.FFmpegError, MemoryError) as error:
            if self._waiting:
                return None
            raise ImageError('data', f'expected a whole packet of {self._codec}: {error}') from error
        return self._own(frames)

    def _own(self, frames: list[av.VideoFrame]) -> av.VideoFrame | None:
        """Return the last packet's picture out of what the decoder gave."""
        own = [frame for frame in frames if frame.pts == self._number]
        if self._waiting and not frames:
            return None
        if self._waiting and own and not own[0].key_frame:
            return None
        if len(own) != 1 or own[0].pict_type == PictureType.B:
            msg = (
                f'expected one picture a packet and no B-frames, got {len(own)} pictures from this packet; '
                'encode without B-frames (x264: tune=zerolatency)'
            )
            raise ImageError('format', msg)
        if own[0].is_corrupt:
            raise ImageError('data', f'expected a whole picture, got one that {self._codec} had to mend')
        check_size(own[0].height, own[0].width)
        self._waiting = False
        return own[0]

    def _open(self, format_name: str) -> None:
        """Begin a stream of another codec, where a message names another."""
        codec = codec_of(format_name)
        if codec is None:
            known = ', '.join(CODECS)
            raise ImageError('format', f'expected a video format among {known}, got {format_name!r}; set it')
        if codec == self._codec:
            return
        self._codec, self._waiting, self._reader = codec, True, CodecReader()
        context = av.CodecContext.create(codec, 'r')
        assert isinstance(context, av.VideoCodecContext)
        # One thread, which gives each picture at once and its vectors whole; damage is an error, not mended.
        context.thread_count = 1
        context.options = EXPORT_VECTORS | {
            'flags': '+low_delay',
            'err_detect': 'explode',
            'max_pixels': str(MAX_PIXELS),
        }
        self._context = context
