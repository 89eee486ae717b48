"""Decompression and MCAP records of what may be damaged or hostile: as far as they go, and within limits."""

from __future__ import annotations

import shutil
import struct
import sys
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import lz4.frame
from mcap.exceptions import McapError
from mcap.stream_reader import StreamReader

from vss_ros.errors import VssError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mcap.records import McapRecord

CHUNK_LIMIT: Final = 2**28
"""Most bytes a chunk or a message may hold: recorders make chunks of about a megabyte, and no camera's
message comes near this."""
ZSTD_MAGIC: Final = b'\x28\xb5\x2f\xfd'
RECORD_HEAD: Final = 9
"""Bytes of an MCAP record before its body: opcode and length."""
PRIVATE: Final = 0x80
"""Opcodes from here on are for private use; the specification says to pass over them."""
_ERRORS: Final = (zstd.ZstdError, RuntimeError, EOFError, ValueError)
"""What the two libraries raise for damaged data; lz4 raises RuntimeError."""
_PIECE: Final = 2**16


class DamageError(Exception):
    """A place of a bag is not as its format says; caught within the reading of bags."""


def expand(data: bytes, compression: str, limit: int) -> tuple[bytes, bool]:
    """Decompress by ``lz4``, ``zstd`` or ``''`` as far as the data go, at most one byte beyond a limit.

    Returns:
        The bytes, and whether the compressed data came to their end there.
    """
    sink = BytesIO()
    whole = _expand(BytesIO(data), compression, sink, limit)
    return sink.getvalue(), whole


def _expand(source: BinaryIO, compression: str, sink: BinaryIO, limit: int) -> bool:
    if compression not in {'', 'lz4', 'zstd'}:
        return False
    opened: Any = {'': lambda _: source, 'lz4': lz4.frame.open, 'zstd': zstd.open}[compression](source)
    with suppress(*_ERRORS):
        # A fuller read that fails in the middle loses what it had.
        while piece := opened.read1(min(_PIECE, limit + 1 - sink.tell())):
            sink.write(piece)
        return sink.tell() <= limit
    return False


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
    """Decompress a ``.zstd`` file (rosbag2's mode ``FILE``) as far as it goes; says whether it was whole.

    Raises:
        VssError: It grows beyond half of the free space.
    """
    limit = shutil.disk_usage(target.parent).free // 2
    with source.open('rb') as compressed, target.open('wb') as sink:
        whole = _expand(compressed, 'zstd', sink, limit)
        if sink.tell() > limit:
            raise VssError(
                f'expected {source} to decompress to at most {limit} bytes (half of the free space for '
                f'temporary files), got more; free some space, or do not use it'
            )
    return whole


def records_in(raw: bytes) -> Iterator[McapRecord]:
    """Yield the records of a decompressed chunk, or of another run of MCAP records.

    Raises:
        DamageError: One does not read or is cut off; those before it have been yielded.
    """
    position = 0
    while position < len(raw):
        end = position + RECORD_HEAD + int.from_bytes(raw[position + 1 : position + RECORD_HEAD], 'little')
        if end > len(raw):
            raise DamageError('a record is cut off')
        if raw[position] < PRIVATE:
            stream = StreamReader(BytesIO(raw[position:end]), skip_magic=True, emit_chunks=True)
            try:
                yield next(stream.records)
            except (McapError, struct.error, ValueError, OverflowError) as error:
                raise DamageError(f'a record of kind {raw[position]} does not read') from error
        position = end
