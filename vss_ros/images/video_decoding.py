"""Motion that a video decoder has decoded, read from PyAV: TWNet's motion vectors, I-frames (section 4.4.1).

Which codecs give their vectors (FFmpeg 8): MPEG-1, MPEG-2, MPEG-4 part 2, H.263 and H.264. HEVC, VP9 and AV1
give their I-frames only, so motion has to be estimated from the pictures.

How exact the vectors are: an encoder chooses them to save bits, so where the picture has no texture they need
not be the true motion. Beyond that

* MPEG-4 part 2 (also MPEG-1 and -2) without B-frames is exact: there is one reference, the frame before.
* P-frames of streams with B-frames refer to the last frame that is no B-frame. Their vectors are divided by
  the frames in between, as if the motion were steady.
* H.264 with several reference frames is approximate: FFmpeg does not say which one a block refers to, and the
  nearest is assumed. On two dashcam clips x264's three references bring 1 % of the cells off (by more than
  1.5 pixels, against DIS); on drawn, noiseless scenes it can be most blocks. ``refs=1`` makes it exact.
* B-frames get no vectors: those to the future lead nowhere, FFmpeg gives zeros for MPEG-4's direct blocks,
  and in H.264 a B-frame may itself be a reference at an unknown distance.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import av
import numpy as np
from av.video.frame import PictureType

from vss_ros.engine.frames import CodecFrame
from vss_ros.images.image_decoding import CODECS, codec_of
from vss_ros.images.image_error import MAX_PIXELS, ImageError, check_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from vss_ros.images.image_error import ImageData


STRICT: Final = {'flags2': '+export_mvs', 'err_detect': 'explode+crccheck', 'max_pixels': str(MAX_PIXELS)}
"""Decoder options: hand vectors out (0.3 to 0.6 ms a frame of 720x1280), and damage is an error, not mended.

They want one thread (``thread_type`` NONE): with frame threads FFmpeg 8 hands vectors of H.264 out while
another thread still writes them.
"""
MOST_IN_VAIN: Final = 60
"""Packets that may wait for an I-frame, 2 to 4 s, until the next are refused with the decoder's reason."""
ANNEX_B: Final = ('h264', 'hevc')
"""Codecs that come with start codes on topics; in files lengths stand in their place."""
_START_CODE: Final = re.compile(rb'\x00\x00+\x01')


class CodecReader:
    """Reads what the codec says of the frames of one stream, in display order."""

    def __init__(self) -> None:
        self._distance: int | None = None  # frames since the last one that is no B-frame

    def skip(self) -> None:
        """Note that a frame was lost or left out: vectors do not lead to the frame before any more."""
        self._distance = None

    def read(self, picture: av.VideoFrame) -> CodecFrame:
        """Return what the codec says of the next frame."""
        kind = PictureType(picture.pict_type)
        distance = None if self._distance is None else self._distance + 1
        self._distance = distance if kind is PictureType.B else 0
        # Where the decoder mended a picture it invented vectors.
        if kind is not PictureType.P or picture.is_corrupt or distance is None:
            return CodecFrame(kind is PictureType.I)
        return CodecFrame(is_key=False, vectors=_vectors(picture, distance))


def _vectors(picture: av.VideoFrame, distance: int) -> NDArray[np.float32] | None:
    """Return the rows of :class:`CodecFrame`, None where the decoder gave none."""
    side_data = picture.side_data.get('MOTION_VECTORS')
    if side_data is None:
        return None
    exported = side_data.to_ndarray()
    exported = exported[exported['source'] < 0]
    # dst is the middle of the block.
    width, height = exported['w'].astype(np.float32), exported['h'].astype(np.float32)
    scale = exported['motion_scale'].astype(np.float32) * distance
    return np.stack(
        (
            exported['dst_x'] - width / 2,
            exported['dst_y'] - height / 2,
            width,
            height,
            exported['motion_x'] / scale,
            exported['motion_y'] / scale,
        ),
        axis=1,
        dtype=np.float32,
    )


class VideoPacket(NamedTuple):
    """One message of a video topic."""

    data: ImageData
    format: str
    """What the message says, see :func:`vss_ros.images.image_decoding.codec_of`."""


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
        self._on_reject = on_reject
        self.waited = 0
        """Packets passed over so far for want of an I-frame."""
        self._context: av.VideoCodecContext | None = None
        self._reader = CodecReader()
        self._codec = ''
        self._waiting = True
        self._number = self._in_vain = 0
        self._reason = ''  # why the decoder made no picture of the last packet that waited

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

        Its codec frame says I-frame if any of the packets held one. It has vectors only if no other
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
                self._in_vain += 1
                self.waited += self._in_vain <= MOST_IN_VAIN
                if self._in_vain > MOST_IN_VAIN:
                    self._on_reject(place, self._no_i_frame())
                continue
            self._in_vain, self._reason = 0, ''
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
        if self._waiting and self._codec in ANNEX_B and not _START_CODE.match(octets[:8].tobytes()):
            msg = f'expected {self._codec} in Annex B (a start code first), got a packet without'
            raise ImageError(
                'format', f'{msg}; have the encoder repeat headers in the stream (h264_mp4toannexb)'
            )
        # Not Packet(data): that is not padded, and decoders read beyond its end and see damage.
        padded = av.Packet(octets.size)
        padded.update(octets.tobytes())
        padded.pts = self._number
        try:
            frames = self._context.decode(padded)
        except (av.error.FFmpegError, MemoryError) as error:
            if self._waiting:
                self._reason = str(error)
                return None
            raise ImageError('data', f'expected a whole packet of {self._codec}: {error}') from error
        return self._own(frames)

    def _no_i_frame(self) -> ImageError:
        reason = self._reason or 'no picture'
        return ImageError(
            'format',
            f'expected an I-frame of {self._codec} in {MOST_IN_VAIN} packets, the decoder says: {reason}; '
            "correct the codec's name or have the encoder send I-frames more often",
        )

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
        context.options = STRICT | {'flags': '+low_delay'}
        self._context = context
