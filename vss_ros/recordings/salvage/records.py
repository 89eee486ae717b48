"""MCAP's records, read without trusting them: every length is bounded before anything is allocated.

After the format's specification, https://mcap.dev/spec: a file is magic, data section, DataEnd,
summary section, footer, magic; a record is an opcode, a length of 8 bytes and that many bytes. Numbers are
little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from vss_ros.recordings.salvage.compression import COMPRESSIONS, DamageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAGIC: Final = b'\x89MCAP0\r\n'
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, CHUNK_INDEX = range(0x01, 0x09)
ATTACHMENT, ATTACHMENT_INDEX, STATISTICS, METADATA, METADATA_INDEX, SUMMARY_OFFSET, DATA_END = range(
    0x09, 0x10
)
PRIVATE: Final = 0x80
"""Opcodes from here on are somebody's own; the specification wants them passed over."""
RECORD_HEAD: Final = 9
"""Bytes of a record before its body: opcode and length."""

_CHUNK_HEAD: Final = struct.Struct('<QQQI')
_MESSAGE_HEAD: Final = struct.Struct('<HIQQ')


class Fields:
    """Reads a record's fields one after the other."""

    def __init__(self, data: bytes | memoryview) -> None:
        """Start at the first byte."""
        self._data = memoryview(data)
        self._position = 0

    def take(self, count: int) -> bytes:
        """Read bytes.

        Raises:
            DamageError: Fewer are left.
        """
        end = self._position + count
        if end > len(self._data):
            raise DamageError('a record is shorter than its fields')
        taken = bytes(self._data[self._position : end])
        self._position = end
        return taken

    def number(self, width: int) -> int:
        """Read an unsigned number of ``width`` bytes.

        Raises:
            DamageError: Fewer are left.
        """
        return int.from_bytes(self.take(width), 'little')

    def blob(self) -> bytes:
        """Read bytes behind their count of 4 bytes.

        Raises:
            DamageError: Fewer are left.
        """
        return self.take(self.number(4))

    def text(self) -> str:
        """Read a string.

        Raises:
            DamageError: It is cut off or not UTF-8.
        """
        try:
            return self.blob().decode()
        except UnicodeDecodeError as error:
            raise DamageError('a name is not UTF-8') from error


class ChunkHead(NamedTuple):
    """A chunk's fields before its records."""

    start: int
    end: int
    size: int
    """Bytes of the records, uncompressed."""
    crc: int
    """Of the uncompressed records; 0 where the writer left it out."""
    compression: str
    stored: int
    """Bytes of the records as they stand in the file."""

    @property
    def width(self) -> int:
        """Bytes of these fields."""
        return 40 + len(self.compression)


class Message(NamedTuple):
    """One message in a run of records."""

    channel: int
    time_ns: int
    position: int
    """Of its record, counted from the first byte of the run."""
    data: memoryview
    """CDR bytes."""


def chunk_head(body: bytes, length: int) -> ChunkHead:
    """Read the fields of a chunk.

    Args:
        body: The record's body, or at least its first 64 bytes.
        length: Of the whole body, as the record says.

    Raises:
        DamageError: They contradict one another.
    """
    fields = Fields(body)
    start, end, size, crc = _CHUNK_HEAD.unpack(fields.take(_CHUNK_HEAD.size))
    name = fields.take(min(fields.number(4), 8)).decode('latin-1')
    if name not in COMPRESSIONS:
        raise DamageError(f'a chunk is compressed by {name!r}, which nobody knows')
    head = ChunkHead(start, end, size, crc, name, fields.number(8))
    if length != head.width + head.stored or (not name and size != head.stored):
        raise DamageError("a chunk's sizes contradict one another")
    return head


def record_head(data: bytes) -> tuple[int, int]:
    """Read opcode and length of a record.

    Raises:
        DamageError: There are fewer than 9 bytes.
    """
    if len(data) < RECORD_HEAD:
        raise DamageError('the file ends in a record')
    return data[0], int.from_bytes(data[1:RECORD_HEAD], 'little')


def message(body: memoryview, position: int) -> Message:
    """Read a message.

    Args:
        body: Of its record.
        position: Of its record.

    Raises:
        DamageError: It is shorter than its fields.
    """
    if len(body) < _MESSAGE_HEAD.size:
        raise DamageError('a message is shorter than its fields')
    channel, _, time_ns, _ = _MESSAGE_HEAD.unpack_from(body)
    return Message(channel, time_ns, position, body[_MESSAGE_HEAD.size :])


def messages_in(records: bytes, other: Callable[[int, bytes], None] | None = None) -> Iterator[Message]:
    """Walk through uncompressed records.

    Args:
        records: Whole records.
        other: Called with opcode and body of each record that is no message.

    Yields:
        The messages in the order of the file.

    Raises:
        DamageError: A record reaches beyond the end; what came before it is whole.
    """
    view, position = memoryview(records), 0
    while position < len(view):
        opcode, length = record_head(records[position : position + RECORD_HEAD])
        body = view[position + RECORD_HEAD : position + RECORD_HEAD + length]
        if len(body) != length:
            raise DamageError('a record reaches beyond its chunk')
        if opcode == MESSAGE:
            yield message(body, position)
        elif other is not None:
            other(opcode, bytes(body))
        position += RECORD_HEAD + length


def message_index(body: bytes) -> tuple[int, list[tuple[int, int]]]:
    """Read a message index: a channel, and time and position of each of its messages in a chunk.

    Raises:
        DamageError: It is cut off.
    """
    fields = Fields(body)
    channel, entries = fields.number(2), fields.blob()
    if len(entries) % 16:
        raise DamageError('a message index is cut off')
    return channel, list(struct.iter_unpack('<QQ', entries))


@dataclass
class ChunkFacts:
    """A chunk as itself and its index in the summary must describe it alike."""

    length: int
    """Bytes of the whole record."""
    start: int
    end: int
    compression: str
    stored: int
    size: int
    indices: dict[int, int] = field(default_factory=dict)
    """Where its message indices are, by channel."""
    index_bytes: int = 0
    """Bytes of all of them."""


def chunk_index(body: bytes) -> tuple[int, ChunkFacts]:
    """Read a chunk index: where the chunk is, and what it is like.

    Raises:
        DamageError: It is cut off.
    """
    fields = Fields(body)
    start, end, position, length = (fields.number(8) for _ in range(4))
    entries = fields.blob()
    if len(entries) % 10:
        raise DamageError('a chunk index is cut off')
    index_bytes, compression = fields.number(8), fields.text()
    stored, size = fields.number(8), fields.number(8)
    indices = dict(struct.iter_unpack('<HQ', entries))
    return position, ChunkFacts(length, start, end, compression, stored, size, indices, index_bytes)


class Statistics(NamedTuple):
    """The file's own account of itself, as far as it is compared."""

    messages: int
    chunks: int
    start: int
    end: int
    counts: dict[int, int]
    """Messages by channel, where there are any."""


def read_statistics(body: bytes) -> Statistics:
    """Read the statistics.

    Raises:
        DamageError: They are cut off.
    """
    fields = Fields(body)
    messages, _, _, _, _, chunks, start, end = (fields.number(width) for width in (8, 2, 4, 4, 4, 4, 8, 8))
    entries = fields.blob()
    if len(entries) % 10:
        raise DamageError('the statistics are cut off')
    counts = {channel: count for channel, count in struct.iter_unpack('<HQ', entries) if count}
    return Statistics(messages, chunks, start, end, counts)
