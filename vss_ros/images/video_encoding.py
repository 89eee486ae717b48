"""Pictures → packets of a video topic, one a picture, without B-frames; images → a video file."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, Self

import av
import cv2
import numpy as np

from vss_ros.errors import VssError
from vss_ros.files import whole_file

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

ENCODERS: Final = {'mpeg4': 'mpeg4', 'h264': 'libx264'}
"""Formats of video topics that can be made, and FFmpeg's encoders."""


class VideoEncoder:
    """Encodes one stream for :class:`vss_ros.images.video_decoding.VideoDecoder`.

    MPEG-4 part 2 is what TWNet takes (section 4.4.1); H.264 is coded with one reference, so that its vectors
    are exact too. Parameter sets come with every I-frame. With a picture of another size a new stream begins.

    Args:
        format_name: ``mpeg4`` or ``h264``.
        gop: Pictures from one I-frame to the next; a new scene begins with an I-frame as well.
        quality: 1 to 100.

    Raises:
        VssError: Another format.
    """

    def __init__(self, format_name: str, *, gop: int = 12, quality: int = 90) -> None:
        if format_name not in ENCODERS:
            raise VssError(f'expected a format among {", ".join(ENCODERS)}, got {format_name!r}')
        self._format, self._gop, self._quality = format_name, gop, quality
        self._context: av.VideoCodecContext | None = None
        self._number = 0

    def encode(self, image: NDArray[np.uint8]) -> bytes:
        """Return the packet of an RGB picture ``(H, W, 3)``.

        Raises:
            VssError: A side is odd, or this build of FFmpeg lacks the encoder.
        """
        size = (image.shape[0], image.shape[1])
        if self._context is None or size != (self._context.height, self._context.width):
            self._context, self._number = self._open(size), 0
        frame = av.VideoFrame.from_ndarray(image, format='rgb24')
        frame.pts = self._number
        self._number += 1
        (packet,) = self._context.encode(frame)
        return bytes(packet)

    def _open(self, size: tuple[int, int]) -> av.VideoCodecContext:
        name, encoder = self._format, ENCODERS[self._format]
        if size[0] % 2 or size[1] % 2:
            raise VssError(f'expected an even height and width for {name}, got {size}; use jpeg or png')
        try:
            context = av.CodecContext.create(encoder, 'w')
        except av.error.FFmpegError as error:
            raise VssError(f'expected the encoder {encoder}, got {error}; install the av wheel') from error
        assert isinstance(context, av.VideoCodecContext)
        context.height, context.width = size
        context.pix_fmt = 'yuv420p'
        context.gop_size, context.max_b_frames, context.thread_count = self._gop, 0, 1
        # The rate is not used: each message has its stamp, and the quality is constant.
        context.framerate, context.time_base = Fraction(25), Fraction(1, 25)
        if name == 'mpeg4':
            context.qmin = context.qmax = round(31 - 0.3 * self._quality)
        else:
            crf = str(round(51 - 0.34 * self._quality))
            context.options = {'preset': 'veryfast', 'tune': 'zerolatency', 'refs': '1', 'crf': crf}
        return context


class VideoWriter:
    """Writes an MP4 (H.264, MPEG-4 where FFmpeg lacks it) that appears under its name once it is whole.

    Use as a context manager; leaving by an exception removes what was written, and an existing file is
    replaced at the end. Without an image there is no file.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._path, self._fps = path, fps
        self._opened = ExitStack()
        self._container: Any = None
        self._size = (0, 0)
        self.frames = 0
        """Images written so far."""

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append an RGB image ``(H, W, 3)``.

        The first one's size is the video's, but for an odd last row or column, which is cut off, as the codec
        requires; later ones are scaled to it.

        Raises:
            VssError: The rate is impossible, the first image too small, or no encoder is at hand.
        """
        if self._container is None:
            self._open(image.shape[1::-1])
        if image.shape[1::-1] != self._size:
            image = np.asarray(cv2.resize(image, self._size), np.uint8)
        stream = self._container.streams.video[0]
        even = np.ascontiguousarray(image[: stream.height, : stream.width])
        self._container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format='rgb24')))
        self.frames += 1

    def _open(self, size: tuple[int, ...]) -> None:
        codecs = {'libx264': {'preset': 'veryfast', 'crf': '23'}, 'mpeg4': {'qscale': '4'}}
        codec = next((codec for codec in codecs if codec in av.codecs_available), None)
        if codec is None:
            raise VssError('expected FFmpeg with libx264 or mpeg4, got neither; install the av wheel')
        if not 0 < self._fps <= 1000 or min(size) < 2:
            raise VssError(
                f'expected a rate of 0 to 1000 fps and at least 2x2 pixels, got {self._fps} and {size}'
            )
        partial = self._opened.enter_context(whole_file(self._path))
        container: Any = av.open(str(partial), 'w', format='mp4', options={'movflags': 'faststart'})
        self._container = self._opened.enter_context(container)
        rate = Fraction(self._fps).limit_denominator(1001)
        stream: Any = container.add_stream(codec, rate=rate, options=codecs[codec])
        self._size = (size[0], size[1])
        stream.width, stream.height = (side // 2 * 2 for side in size)
        stream.pix_fmt = 'yuv420p'

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._opened:  # also where the last pictures cannot be written
            if kind is not None:
                self._opened.__exit__(kind, error, trace)
            elif self._container is not None:
                self._container.mux(self._container.streams.video[0].encode(None))
