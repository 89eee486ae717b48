"""Bytes of a camera message or file → pixels, or a reason why not; shared by the node and the sources.

The input may be hostile: sizes are checked before anything is allocated or decoded, and a picture that
the decoder had to mend is refused. A truncated file never passes. What no decoder can notice is damage inside
a JPEG that happens to decode (JPEG has no checksum); PNG's checksums catch even a flipped bit.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import simplejpeg

from vss_ros.images.image_error import ImageError, check_size
from vss_ros.images.raw_decoding import decode_raw, decode_raw_mask, demosaiced, ids_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vss_ros.images.image_error import ImageData

PNG_MAGIC: Final = b'\x89PNG\r\n\x1a\n'
PNG_GREY: Final = 0
"""PNG's colour type of grey images."""
PNG_PALETTE: Final = 3

CODECS: Final = {
    'h264': ('h264', 'x264', 'avc'),
    'hevc': ('hevc', 'h265', 'x265'),
    'mpeg4': ('mpeg4', 'mp4v'),
    'mpeg2video': ('mpeg2',),
    'mpeg1video': ('mpeg1',),
    'vp9': ('vp9',),
}
"""FFmpeg's decoders and the words by which messages name their codec or encoder."""


_JPEG_MAGIC: Final = b'\xff\xd8\xff'
_JPEG_SCAN: Final = b'\xff\xda'
MAX_SCANS: Final = 100
"""Most scans of a progressive JPEG, each of which takes as long as a picture; encoders make about ten."""


def check_png(blob: bytes, deepest: int = 8) -> int:
    """Check the structure, checksums and size of a PNG, from its magic on, and return its colour type.

    Raises:
        ImageError: Damaged, truncated, too large, animated, or of more than ``deepest`` bits a channel.
    """
    chunks = _png_chunks(blob)
    header = chunks.get(b'IHDR', b'')
    if len(header) != 13 or not chunks.get(b'IDAT') or b'acTL' in chunks:
        raise ImageError('data', 'expected a still PNG with a header and pixels, got none; send it again')
    width, height, depth, colour_type = struct.unpack('>IIBB', header[:10])
    check_size(height, width)
    if depth > deepest or (colour_type == PNG_GREY and depth < 8):
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
    """Return FFmpeg's name of the codec in words like ``H.265``, ``libx264`` or ``h264;yuv420p``, or None."""
    named = format_name.partition(';')[0].lower().replace('.', '').replace('-', '')
    return next((codec for codec, words in CODECS.items() if any(word in named for word in words)), None)


def decode_image_message(message: Any) -> NDArray[np.uint8]:
    """Turn a sensor_msgs/Image or CompressedImage of any message library into RGB, ``(H, W, 3)``.

    Raises:
        ImageError: See :func:`decode_raw` and :func:`decode_compressed`.
    """
    if hasattr(message, 'format'):
        return decode_compressed(message.data, message.format)
    size, big = (message.height, message.width), bool(message.is_bigendian)
    return decode_raw(message.data, *size, message.encoding, message.step, big_endian=big)


def decode_mask_message(message: Any) -> NDArray[np.uint8]:
    """Turn a sensor_msgs/Image or CompressedImage of any message library into class ids, ``(H, W)``.

    Raises:
        ImageError: See :func:`decode_raw_mask` and :func:`decode_mask`.
    """
    if hasattr(message, 'format'):
        return decode_mask(message.data)
    size = message.height, message.width
    big = bool(message.is_bigendian)
    return decode_raw_mask(message.data, *size, message.encoding, message.step, big_endian=big)


def decode_compressed(data: ImageData, format_name: str) -> NDArray[np.uint8]:
    """Turn a JPEG or PNG, from a sensor_msgs/CompressedImage or a file, into RGB.

    Args:
        data: The file's bytes.
        format_name: The message's ``format``: ``jpeg``, ``png``, ``rgb8; jpeg compressed bgr8`` and the like;
            empty where the sender left it out.

    Returns:
        RGB image, shape ``(H, W, 3)``, C-contiguous, owned by the caller.

    Raises:
        ImageError: Another format, damaged or truncated data, 16 bits a channel, or too large.
    """
    blob = np.frombuffer(data, np.uint8).tobytes()
    image = _decode_jpeg(blob) if _kind(blob, format_name) == 'jpeg' else _decode_png(blob)
    encoding, _, target = format_name.partition(';')
    if (
        encoding.startswith('bayer_')
        and 'bgr' not in target
        and 'rgb' not in target.partition('compressed')[2]
    ):
        return demosaiced(image, encoding.strip())
    # image_transport's way to say that its encoder took an RGB array for BGR.
    return np.ascontiguousarray(image[..., ::-1]) if 'compressed rgb' in format_name else image


def decode_mask(data: ImageData) -> NDArray[np.uint8]:
    """Turn the bytes of a grey PNG, of three equal channels or of 16 bits too, into class ids ``(H, W)``.

    Raises:
        ImageError: Not a PNG, damaged, or a palette or colour image, which would change the ids.
    """
    blob = np.frombuffer(data, np.uint8).tobytes()
    if _kind(blob, '') != 'png':
        raise ImageError('format', 'expected a PNG mask, got a JPEG, which changes class ids; use PNG')
    kind = check_png(blob, 16)
    pixels = _imdecode(blob, cv2.IMREAD_UNCHANGED)
    if kind == PNG_PALETTE or (pixels.ndim == 3 and (pixels[..., :3] != pixels[..., :1]).any()):
        raise ImageError(
            'format',
            'expected a grey PNG of class ids, got a colour or palette PNG; write ids, or name the '
            'class table whose colours they are',
        )
    return ids_of(pixels if pixels.ndim == 2 else pixels[..., 0])


def _kind(blob: bytes, format_name: str) -> str:
    """Tell JPEG from PNG by the contents, and refuse a format that says something else."""
    named = format_name.lower()
    if 'depth' in named or (named and not any(word in named for word in ('jpeg', 'jpg', 'png'))):
        raise ImageError(
            'format', f"expected format 'jpeg' or 'png', got {format_name!r}; publish one of these"
        )
    if blob.startswith(_JPEG_MAGIC):
        kind, wrong = 'jpeg', 'png'
    elif blob.startswith(PNG_MAGIC):
        kind, wrong = 'png', 'jp'
    else:
        raise ImageError('data', f'expected a JPEG or PNG, got {len(blob)} bytes starting {blob[:8].hex()!r}')
    if wrong in named:
        raise ImageError(
            'format', f'expected what format {format_name!r} says, got a {kind}; correct the format'
        )
    return kind


def _decode_jpeg(blob: bytes) -> NDArray[np.uint8]:
    """Decode strictly: what libjpeg would only warn of is an error here."""
    try:
        if blob.count(_JPEG_SCAN) > MAX_SCANS:
            raise ImageError('data', f'expected at most {MAX_SCANS} scans in a JPEG, got more; save it anew')
        height, width, colours, _ = simplejpeg.decode_jpeg_header(blob)
        check_size(height, width)
        if colours not in {'YCbCr', 'RGB', 'Gray'}:
            raise ImageError('format', f'expected a colour or grey JPEG, got {colours}; convert it to RGB')
        return np.asarray(simplejpeg.decode_jpeg(blob, colorspace='RGB', strict=True), np.uint8)
    except (ValueError, KeyError, MemoryError) as error:  # KeyError: of a subsampling it has no name for
        reason = 'data' if b'\xff\xd9' in blob[-64:] else 'truncated'
        raise ImageError(
            reason, f'expected a whole JPEG, got {len(blob)} bytes: {error}; send it again'
        ) from error


def _decode_png(blob: bytes) -> NDArray[np.uint8]:
    """Decode a PNG of any 8-bit kind; an alpha channel is dropped."""
    check_png(blob)
    return np.asarray(cv2.cvtColor(_imdecode(blob, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)


def _imdecode(blob: bytes, flags: int) -> NDArray[Any]:
    """Decode with OpenCV, which reports some failures by None and others by an exception."""
    try:
        image = cv2.imdecode(np.frombuffer(blob, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ImageError('data', f'expected a decodable PNG, got {error}; send it again') from error
    if image is None:
        raise ImageError('data', f'expected a decodable PNG, got {len(blob)} damaged bytes; send it again')
    return np.asarray(image)
