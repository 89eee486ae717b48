"""What recorders compress by zstd or lz4, decompressed within bounds whatever the data claim to be."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import lz4.frame

from vss_ros.errors import VssError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from pathlib import Path

CHUNK_LIMIT: Final = 2**30
"""Most bytes a chunk, a message or another record may hold: recorders make chunks of about a megabyte, and no
camera's message comes near this."""
COMPRESSIONS: Final = ('', 'lz4', 'zstd')
ZSTD_MAGIC: Final = b'\x28\xb5\x2f\xfd'

_ERRORS: Final = (zstd.ZstdError, RuntimeError, EOFError, ValueError)
"""What the two libraries raise for damaged data; lz4 raises RuntimeError."""
_PIECE: Final = 2**20
_SLICE: Final = 2**10


class DamageError(Exception):
    """A place of a file is not what its format wants; caught within the reading of bags."""


class ExplosionError(VssError):
    """A bag declares or makes more bytes than anybody has room for; it is refused as a whole."""


def expand(data: bytes, compression: str, size: int) -> bytes:
    """Undo a chunk's compression, never making more than was declared.

    Args:
        data: Compressed bytes.
        compression: ``''``, ``lz4`` or ``zstd``.
        size: Bytes expected.

    Raises:
        DamageError: They do not decompress, or to another size.
    """
    raw, whole = _expand(data, compression, size)
    if not whole or len(raw) != size:
        holds = 'more' if len(raw) > size else 'fewer'
        raise DamageError(f'a chunk declares {size} bytes and holds {holds}')
    return raw


def expand_beginning(data: bytes, compression: str, size: int) -> bytes:
    """Undo the compression of a chunk whose end is missing, as far as it goes (at most ``size`` bytes).

    Raises:
        DamageError: What there is does not decompress.
    """
    return _expand(data, compression, size)[0][:size]


def expand_doubtful(data: bytes, compression: str) -> bytes:
    """Undo the compression of a damaged chunk up to where it fails, a megabyte at most.

    What comes out may be damaged too.
    """
    if not compression:
        return data[:_PIECE]
    decompressor, raw = _decompressor(compression), bytearray()
    with suppress(*_ERRORS):
        for start in range(0, len(data), _SLICE):
            raw += decompressor.decompress(data[start : start + _SLICE], max_length=_PIECE - len(raw))
            if decompressor.eof or len(raw) == _PIECE:
                break
    return bytes(raw)


def is_compressed(message: bytes | memoryview) -> bool:
    """Say whether a message was compressed by itself: CDR begins with a zero byte, not as zstd does."""
    return message[:4] == ZSTD_MAGIC


def expand_message(data: bytes | memoryview) -> bytes:
    """Return a message, decompressed where it was compressed by itself (rosbag2's mode ``MESSAGE``).

    Raises:
        DamageError: It does not decompress.
        ExplosionError: It grows beyond ``CHUNK_LIMIT``.
    """
    blob = bytes(data)
    if not is_compressed(blob):
        return blob
    if expands_beyond(blob, 'zstd', CHUNK_LIMIT):
        raise ExplosionError(
            f'expected messages of at most {CHUNK_LIMIT} bytes, got one of {len(blob)} that grows beyond '
            f'it; do not use this bag'
        )
    raw, whole = _expand(blob, 'zstd', CHUNK_LIMIT)
    if not whole:
        raise DamageError('a compressed message is cut off')
    return raw


def expands_beyond(data: bytes, compression: str, limit: int) -> bool:
    """Say whether data really decompresses to more than a limit, holding a megabyte of it at a time.

    Raises:
        DamageError: It does not decompress.
    """
    if not compression:
        return len(data) > limit
    decompressor, total = _decompressor(compression), 0
    try:
        while not decompressor.eof and total <= limit:
            piece = decompressor.decompress(data, max_length=_PIECE)
            if not piece and not data:
                return False  # the end is missing
            data = b''
            total += len(piece)
    except _ERRORS as error:
        raise DamageError(f'{compression} data does not decompress ({error})') from error
    return total > limit


def expand_file(source: Path, target: Path, limit: int) -> bool:
    """Undo the compression of a whole file (rosbag2's mode ``FILE``), as far as it goes.

    Args:
        source: A ``.zstd`` file.
        target: File to make.
        limit: Most bytes to write.

    Returns:
        Whether the compressed file was whole.

    Raises:
        ExplosionError: It grows beyond the limit.
    """
    written = 0
    with target.open('wb') as sink:
        try:
            with zstd.open(source, 'rb') as stream:
                # read1, because a fuller read that fails in the middle loses what it had.
                while piece := stream.read1(_PIECE):
                    written += sink.write(piece)
                    if written > limit:
                        raise ExplosionError(
                            f'expected {source} to decompress to at most {limit} bytes (half of the free '
                            f'space for temporary files), got more; free some space, or do not use it'
                        )
        except _ERRORS:
            return False
    return True


def _decompressor(compression: str) -> zstd.ZstdDecompressor:
    """Return an incremental decompressor; lz4's has the same interface."""
    if compression == 'zstd':
        return zstd.ZstdDecompressor()
    decompressor: zstd.ZstdDecompressor = lz4.frame.LZ4FrameDecompressor()
    return decompressor


def _expand(data: bytes, compression: str, size: int) -> tuple[bytes, bool]:
    """Decompress at most one byte more than ``size``; also says whether the data came to its end there."""
    if not compression:
        return data, True
    decompressor = _decompressor(compression)
    try:
        raw = decompressor.decompress(data, max_length=size + 1)
    except _ERRORS as error:
        raise DamageError(f'{compression} data does not decompress ({error})') from error
    return raw, decompressor.eof and not decompressor.unused_data
