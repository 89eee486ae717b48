"""Pictures → packets of a video topic, one packet a picture, without B-frames."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

import av

from vss_ros.errors import VssError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ENCODERS: Final = {'mpeg4': 'mpeg4', 'h264': 'libx264'}
"""Formats of video topics that can be made, and FFmpeg's encoders."""


class VideoEncoder:
    """Encodes one stream for :class:`vss_ros.images.video_decoding.VideoDecoder`.

    MPEG-4 part 2 is what TWNet takes (section 4.4.1); H.264 is coded with one reference, so that its vectors
    are exact too. Parameter sets come with every I-frame.

    Args:
        format_name: ``mpeg4`` or ``h264``.
        size: Height and width of the pictures, both even.
        gop: Pictures from one I-frame to the next; a new scene begins with an I-frame as well.
        quality: 1 to 100.

    Raises:
        VssError: Another format, an odd size, or a build of FFmpeg without the encoder.

    """

    def __init__(self, format_name: str, size: tuple[int, int], *, gop: int = 12, quality: int = 90) -> None:
        """Open the encoder."""
        if size[0] % 2 or size[1] % 2:
            raise VssError(
                f'expected an even height and width for {format_name}, got {size}; use jpeg or png'
            )
        if format_name not in ENCODERS:
            raise VssError(f'expected a format among {", ".join(ENCODERS)}, got {format_name!r}')
        try:
            context = av.CodecContext.create(ENCODERS[format_name], 'w')
        except av.error.FFmpegError as error:
            raise VssError(
                f'expected the encoder {ENCODERS[format_name]}, got {error}; install the av wheel'
            ) from error
        assert isinstance(context, av.VideoCodecContext)
        context.height, context.width = size
        context.pix_fmt = 'yuv420p'
        context.gop_size, context.max_b_frames, context.thread_count = gop, 0, 1
        # The rate is not used: each message has its stamp, and the quality is constant.
        context.framerate, context.time_base = Fraction(25), Fraction(1, 25)
        if format_name == 'mpeg4':
            context.qmin = context.qmax = round(31 - 0.3 * quality)
        else:
            crf = str(round(51 - 0.34 * quality))
            context.options = {'preset': 'veryfast', 'tune': 'zerolatency', 'refs': '1', 'crf': crf}
        self._context = context
        self._number = 0

    def encode(self, image: NDArray[np.uint8]) -> bytes:
        """Return the packet of an RGB picture ``(H, W, 3)``."""
        frame = av.VideoFrame.from_ndarray(image, format='rgb24')
        frame.pts = self._number
        self._number += 1
        (packet,) = self._context.encode(frame)
        return bytes(packet)
