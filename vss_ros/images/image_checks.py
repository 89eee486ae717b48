"""What is known of images before they are decoded: impossible sizes, damaged PNGs, the name of a codec.

Without a decoder or a video library, so that those who only look need none.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

from vss_ros.errors import VssError

MAX_SIDE: Final = 16384
"""Largest width or height accepted, in pixels."""
MAX_PIXELS: Final = 64 * 2**20
"""Largest image accepted, in pixels."""

PNG_MAGIC: Final = b'\x89PNG\r\n\x1a\n'
PNG_GREY: Final = 0
"""PNG's colour type of grey images."""

CODECS: Final = {
    'h264': ('h264', 'x264', 'avc'),
    'hevc': ('hevc', 'h265', 'x265'),
    'mpeg4': ('mpeg4', 'mp4v'),
    'mpeg2video': ('mpeg2',),
    'mpeg1video': ('mpeg1',),
    'vp9': ('vp9',),
}
"""FFmpeg's decoders and the words by which messages name their codec or encoder."""


class ImageError(VssError):
    """An image was refused.

    Attributes:
        reason: Word for counters: ``encoding``, ``step``, ``size``, ``data``, ``truncated`` or ``format``.
    """

    def __init__(self, reason: str, message: str) -> None:
        """Keep the reason beside the message for people."""
        super().__init__(message)
        self.reason = reason


def check_size(height: int, width: int) -> None:
    """Refuse a size before anything of it is allocated.

    Raises:
        ImageError: A side of 0 or beyond ``MAX_SIDE``, or more than ``MAX_PIXELS``.
    """
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise ImageError(
            'size',
            f'expected a width and height of 1 to {MAX_SIDE} and at most {MAX_PIXELS} pixels, '
            f'got {width}x{height}; check the camera driver or scale the image down',
        )


def check_png(blob: bytes) -> int:
    """Check a PNG's structure, checksums and size without decoding it.

    Args:
        blob: The file's bytes, from its magic on.

    Returns:
        Its colour type.

    Raises:
        ImageError: Damaged, truncated, too large, animated, or of 16 bits a channel.
    """
    chunks = _png_chunks(blob)
    header = chunks.get(b'IHDR', b'')
    if len(header) != 13 or not chunks.get(b'IDAT') or b'acTL' in chunks:
        raise ImageError('data', 'expected a still PNG with a header and pixels, got none; send it again')
    width, height, depth, colour_type = struct.unpack('>IIBB', header[:10])
    check_size(height, width)
    if depth > 8 or (colour_type == PNG_GREY and depth != 8):
        raise ImageError('format', f'expected a PNG of 8 bits a channel, got {depth}; convert it')
    return int(colour_type)


def _png_chunks(blob: bytes) -> dict[bytes, bytes]:
    """Walk the chunks, checking each one's CRC; of several of a kind the first is returned."""
    chunks: dict[bytes, bytes] = {}
    position = len(PNG_MAGIC)
    while b'IEND' not in chunks:
        if position + 12 > len(blob):
            raise ImageError(
                'truncated', f'expected a whole PNG, got {len(blob)} bytes without its end; send it again'
            )
        (length,) = struct.unpack_from('>I', blob, position)
        end = position + 12 + length
        if end > len(blob):
            raise ImageError(
                'truncated', f'expected a PNG of {end} bytes or more, got {len(blob)}; send it again'
            )
        kind = blob[position + 4 : position + 8]
        if zlib.crc32(blob[position + 4 : end - 4]) != struct.unpack_from('>I', blob, end - 4)[0]:
            raise ImageError(
                'data', f'expected a PNG with right checksums, got a damaged {kind!r}; send it again'
            )
        chunks.setdefault(kind, blob[position + 8 : end - 4])
        position = end
    return chunks


def codec_of(format_name: str) -> str | None:
    """Return FFmpeg's name of the codec that a message names, None if it names none.

    Args:
        format_name: Such as ``h264``, ``H.265``, ``libx264`` or ``h264;yuv420p;bgr8``.
    """
    named = format_name.partition(';')[0].lower().replace('.', '').replace('-', '')
    for codec, words in CODECS.items():
        if any(word in named for word in words):
            return codec
    return None
