"""Checksums for an MCAP file whose writer left them out, so that a flipped bit anywhere in it is noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from zlib import crc32

from vss_ros.recordings.salvage.compression import expand
from vss_ros.recordings.salvage.records import (
    CHUNK,
    DATA_END,
    FOOTER,
    MAGIC,
    RECORD_HEAD,
    chunk_head,
    record_head,
)

if TYPE_CHECKING:
    from pathlib import Path

_CHUNK_CRC: Final = RECORD_HEAD + 24
"""Where a chunk's record holds its checksum, behind two times and a size."""
_FOOTER_CRC: Final = RECORD_HEAD + 16
"""Where the footer holds the summary's, behind two positions."""


def seal(path: Path) -> None:
    """Fill in the checksums of chunks, data section and summary; rosbags writes zeros, which mean none.

    Args:
        path: A whole file that nobody writes any more. It keeps its size.

    Raises:
        DamageError: It is not whole.
        OSError: It does not read or write.
    """
    with path.open('r+b') as file:
        crc, opcode, position = crc32(file.read(len(MAGIC))), 0, len(MAGIC)
        while opcode != FOOTER:
            head = file.read(RECORD_HEAD)
            opcode, length = record_head(head)
            record = bytearray(head + file.read(length))
            if opcode == CHUNK:
                chunk = chunk_head(bytes(record[RECORD_HEAD : RECORD_HEAD + 64]), length)
                stored = bytes(record[RECORD_HEAD + chunk.width :])
                _put(record, _CHUNK_CRC, crc32(expand(stored, chunk.compression, chunk.size)))
            elif opcode == DATA_END:
                _put(record, RECORD_HEAD, crc)
                crc = 0  # the summary, which begins behind it, has one of its own
            elif opcode == FOOTER:
                _put(record, _FOOTER_CRC, crc32(record[:_FOOTER_CRC], crc))
            if opcode in {CHUNK, DATA_END, FOOTER}:
                file.seek(position)
                file.write(record)
            if opcode != DATA_END:
                crc = crc32(record, crc)
            position += len(record)


def _put(record: bytearray, position: int, crc: int) -> None:
    """Write a checksum into a record."""
    record[position : position + 4] = crc.to_bytes(4, 'little')
