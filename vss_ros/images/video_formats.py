"""How messages name video codecs; without a video library, so that image topics need none."""

from __future__ import annotations

from typing import Final

CODECS: Final = {
    'h264': ('h264', 'x264', 'avc'),
    'hevc': ('hevc', 'h265', 'x265'),
    'mpeg4': ('mpeg4', 'mp4v'),
    'mpeg2video': ('mpeg2',),
    'mpeg1video': ('mpeg1',),
    'vp9': ('vp9',),
}
"""FFmpeg's decoders and the words by which messages name their codec or encoder."""


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
