"""What recorders compress by zstd or lz4, decompressed within bounds that hold for false claims, too."""

from __future__ import annotations

import shutil
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import lz4.frame

from vss_ros.errors import VssError
from vss_ros.recordings.bag_metadata import DamageError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from pathlib import Path

CHUNK_LIMIT: Final = 2**30
"""Most bytes a chunk or a message may hold: recorders make chunks of about a megabyte, and no camera's
message comes near this."""
ZSTD_MAGIC: Final = b'\x28\xb5\x2f\xfd'
_ERRORS: Final = (zstd.ZstdError, RuntimeError, EOFError, ValueError)
"""What the two libraries raise for damaged data; lz4 raises RuntimeError."""
_PIECE: Final = 2**16


def expand(data: bytes, compression: str, limit: int) -> tuple[bytes, bool]:
    """Decompress as far as the data go, at most one byte more than a limit.

    Args:
        data: Compressed bytes.
        compression: ``''``, ``lz4`` or ``zstd``.
        limit: Most bytes wanted.

    Returns:
        The bytes, and whether the compressed data came to their end there.
    """
    if not compression:
        return data[: limit + 1], len(data) <= limit
    if compression not in {'lz4', 'zstd'}:
        return b'', False
    decompressor = zstd.ZstdDecompressor() if compression == 'zstd' else lz4.frame.LZ4FrameDecompressor()
    raw = bytearray()
    with suppress(*_ERRORS):
        while not decompressor.eof and len(raw) <= limit:
            piece = decompressor.decompress(data, max_length=min(_PIECE, limit + 1 - len(raw)))
            if not piece and not data:
                break
            raw += piece
            data = b''
    return bytes(raw), decompressor.eof and not decompressor.unused_data


def expand_message(data: bytes) -> bytes:
    """Return a message, decompressed where it was compressed by itself (rosbag2's mode ``MESSAGE``).

    Raises:
        DamageError: It does not decompress.
        VssError: It grows beyond ``CHUNK_LIMIT``.
    """
    if data[:4] != ZSTD_MAGIC:  # CDR begins with a zero byte
        return data
    raw, whole = expand(data, 'zstd', CHUNK_LIMIT)
    if len(raw) > CHUNK_LIMIT:
        raise VssError(
            f'expected messages of at most {CHUNK_LIMIT} bytes, got one of {len(data)} that grows beyond '
            f'it; do not use this bag'
        )
    if not whole:
        raise DamageError('a compressed message does not decompress')
    return raw


def expand_file(source: Path, target: Path) -> bool:
    """Decompress a whole file (rosbag2's mode ``FILE``), as far as it goes.

    Args:
        source: A ``.zstd`` file.
        target: File to make.

    Returns:
        Whether the compressed file was whole.

    Raises:
        VssError: It grows beyond half of the free space.
    """
    written, limit = 0, shutil.disk_usage(target.parent).free // 2
    with target.open('wb') as sink, zstd.open(source, 'rb') as stream:
        try:
            while piece := stream.read1(_PIECE):  # a fuller read that fails in the middle loses what it had
                written += sink.write(piece)
                if written > limit:
                    raise VssError(
                        f'expected {source} to decompress to at most {limit} bytes (half of the free space '
                        f'for temporary files), got more; free some space, or do not use it'
                    )
        except _ERRORS:
            return False
    return True
