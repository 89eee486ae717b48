"""What can be had of an MCAP file, and whether that is all of it.

The file is read from its first byte to its last and nothing in it is believed: checksums of chunks, data
section and summary (where the writer left any), sizes, indices and statistics must agree with what is there.
A damaged place ends nothing: the next chunk is searched for, byte by byte.

A chunk counts when all of it is readable and its checksum matches; of a chunk at whose middle the file ends,
the messages before that place count, which nothing vouches for: the checksum is of the whole.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from vss_ros.recordings.salvage.blocks import Block, McapContents
from vss_ros.recordings.salvage.compression import (
    CHUNK_LIMIT,
    DamageError,
    ExplosionError,
    expand_doubtful,
    expands_beyond,
)
from vss_ros.recordings.salvage.records import (
    ATTACHMENT,
    CHANNEL,
    CHUNK,
    DATA_END,
    FOOTER,
    HEADER,
    MAGIC,
    MESSAGE,
    MESSAGE_INDEX,
    METADATA,
    PRIVATE,
    RECORD_HEAD,
    SCHEMA,
    ChunkFacts,
    ChunkHead,
    Fields,
    Statistics,
    chunk_head,
    message,
    message_index,
    messages_in,
    record_head,
)
from vss_ros.recordings.salvage.search import find_chunk, find_message
from vss_ros.recordings.salvage.summary import FOOTER_BYTES, Names, Summary, find_summary

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

_PIECE: Final = 2**20


def survey_mcap(path: Path, on_bytes: Callable[[int], Any] = lambda _: None) -> McapContents:
    """Read a whole file and check it.

    Args:
        path: The file.
        on_bytes: Called with every count of bytes that were checked.

    Raises:
        ExplosionError: A chunk holds more than ``CHUNK_LIMIT`` bytes, or both its head and its index say so.
        OSError: The file does not open or read.
    """
    with path.open('rb') as file:
        return _Walk(file, on_bytes).run()


class _Walk:
    """One way through a file."""

    def __init__(self, file: BinaryIO, on_bytes: Callable[[int], Any]) -> None:
        """Start before the first byte."""
        self._file, self._on_bytes = file, on_bytes
        self._size = os.fstat(file.fileno()).st_size
        self._found = McapContents()
        self._names = Names()
        self._doubtful = Names()
        """From damaged chunks: most writers name topics in the first chunk and in the summary only."""
        self._chunks: dict[int, ChunkFacts] = {}
        """By where they begin."""
        self._facts: ChunkFacts | None = None
        """Of the chunk to which message indices now belong."""
        self._entries: dict[int, list[tuple[int, int]]] = {}
        """Time and position of its messages, by channel."""
        self._chunked = False
        self._exploding: dict[int, int] = {}
        """Sizes that chunks declare beyond the limit, by where they begin."""
        self._summary: Summary | None = None
        """The summary section, once it has begun."""
        self._finished = False

    def run(self) -> McapContents:
        """Walk from the magic to the end."""
        if self._at(0, len(MAGIC)) != MAGIC:
            self._note('the file does not begin as MCAP files do')
        position = len(MAGIC)
        while position < self._size and not self._finished:
            try:
                after = self._step(position)
            except DamageError as error:
                self._note(f'{error}, at byte {position}')
                after = self._resume(position + 1)
            self._on_bytes(after - position)
            position = after
        if not self._finished and not self._found.notes:
            self._note(f'the file ends at byte {self._size}, before its footer')
        self._names.fill_in(self._doubtful)
        self._found.channels = self._names.channels()
        self._compare()
        return self._found

    def _at(self, position: int, count: int) -> bytes:
        """Read some bytes, fewer at the end of the file."""
        self._file.seek(position)
        return self._file.read(count)

    def _note(self, text: str) -> None:
        """Remember what is wrong."""
        self._found.notes.append(text)

    def _step(self, position: int) -> int:
        """Read the record at a position; returns where the next one begins."""
        opcode, length = record_head(self._at(position, RECORD_HEAD))
        if opcode == CHUNK and self._summary is None:
            return self._on_chunk(position, length)
        end = position + RECORD_HEAD + length
        if end > self._size:
            raise DamageError('the file ends in a record, or a length is wrong')
        if opcode < PRIVATE and not (opcode == ATTACHMENT and self._summary is None):
            if length > CHUNK_LIMIT:
                raise DamageError(f'a record of kind {opcode} declares {length} bytes')
            self._on_record(opcode, position, self._at(position + RECORD_HEAD, length))
        return end

    def _on_record(self, opcode: int, position: int, body: bytes) -> None:
        """Take in a record that is neither chunk nor attachment."""
        if self._summary is not None and opcode == FOOTER:
            self._on_footer(self._summary, position, body)
        elif self._summary is not None:
            self._summary.take(opcode, position, body)
        elif opcode in {SCHEMA, CHANNEL}:
            self._names.add(opcode, body)
        elif opcode == MESSAGE:
            self._on_message(position, body)
        elif opcode == MESSAGE_INDEX:
            self._on_message_index(position, body)
        elif opcode == DATA_END:
            self._on_data_end(position, body)
        elif opcode == HEADER and position == len(MAGIC):
            if (profile := Fields(body).text()) != 'ros2':
                self._note(f'the profile is {profile!r} instead of ros2')
        elif opcode != METADATA:
            raise DamageError(f'a record of kind {opcode} does not belong into the data')

    def _resume(self, position: int) -> int:
        """Return where reading goes on behind a damaged place."""
        self._facts = None
        if self._summary is not None:
            return self._size
        found = find_chunk(self._at, position, self._size)
        blocks = self._found.blocks
        if found is None and blocks and not self._chunked:
            near = blocks[-1].end
            found = find_message(self._at, position, self._size, self._names.__contains__, near)
        if found is None:
            found = find_summary(self._at(max(0, self._size - 64), 64), self._size)
            if found is None or found < position:
                return self._size
            self._summary = Summary(found, self._names)
        return found

    def _on_message(self, position: int, body: bytes) -> None:
        """Take in a message that lies outside of chunks."""
        found = message(memoryview(body), position)
        if self._chunked or found.channel not in self._names:
            raise DamageError('a message does not belong here')
        blocks, length = self._found.blocks, RECORD_HEAD + len(body)
        if not blocks or blocks[-1].offset + blocks[-1].stored != position or blocks[-1].stored > _PIECE:
            blocks.append(Block(position, 0, '', 0))
        if not blocks[-1].count(found):
            self._note(f'a message does not decompress, at byte {position}')
        blocks[-1].stored += length
        blocks[-1].size += length

    def _on_chunk(self, position: int, length: int) -> int:
        """Take in a chunk; returns where it ends."""
        self._facts = None
        head = chunk_head(self._at(position + RECORD_HEAD, 64), length)
        self._chunked = True
        end = position + RECORD_HEAD + length
        offset = position + RECORD_HEAD + head.width
        block = Block(offset, head.stored, head.compression, head.size, cut=end > self._size)
        if max(head.size, head.stored // 2) > CHUNK_LIMIT:
            self._judge_size(position, block)
        self._read_records(block, head)
        if block.counts:
            self._found.blocks.append(block)
        if block.cut:
            self._note(f'the file ends in a chunk, {block.counts.total()} messages of which are there')
            return self._size
        if block.counts and (block.start, block.end) != (head.start, head.end):
            self._note(f'a chunk names other times than its messages have, at byte {position}')
        self._facts = ChunkFacts(
            RECORD_HEAD + length, head.start, head.end, head.compression, head.stored, head.size
        )
        self._chunks[position] = self._facts
        return end

    def _judge_size(self, position: int, block: Block) -> None:
        """Refuse a file for a chunk that is too large; tell it from one whose size was damaged."""
        data = self._at(block.offset, min(block.stored, CHUNK_LIMIT + 1))
        if expands_beyond(data, block.compression, CHUNK_LIMIT):
            raise _explosion(position, block.size)
        self._exploding[position] = block.size
        raise DamageError(f'a chunk declares {block.size} bytes and holds fewer')

    def _read_records(self, block: Block, head: ChunkHead) -> None:
        """Find what a chunk holds."""
        try:
            records = block.read(self._file)
            if not block.cut and head.crc and crc32(records) != head.crc:
                raise DamageError("a chunk's checksum does not match")
        except DamageError:
            data = self._at(block.offset, min(block.stored, _PIECE))
            self._doubtful.add_doubtful(expand_doubtful(data, block.compression))
            raise
        self._entries = {}
        try:
            for found in messages_in(records, self._on_inner_record):
                self._entries.setdefault(found.channel, []).append((found.time_ns, found.position))
                if not block.count(found):
                    self._note(f'a message does not decompress, in the chunk before byte {self._file.tell()}')
        except DamageError:
            if not block.cut:
                raise

    def _on_inner_record(self, opcode: int, body: bytes) -> None:
        """Take in a record within a chunk that is no message."""
        if opcode in {SCHEMA, CHANNEL}:
            self._names.add(opcode, body)
        elif opcode < PRIVATE:
            raise DamageError(f'a record of kind {opcode} does not belong into a chunk')

    def _on_message_index(self, position: int, body: bytes) -> None:
        """Compare a message index with its chunk, where that was readable."""
        if self._facts is None:
            return
        channel, entries = message_index(body)
        if sorted(entries) != sorted(self._entries.get(channel, [])):
            self._note(f'an index of messages disagrees with its chunk, at byte {position}')
        self._facts.indices[channel] = position
        self._facts.index_bytes += RECORD_HEAD + len(body)

    def _on_data_end(self, position: int, body: bytes) -> None:
        """Compare the checksum of the data section."""
        crc = Fields(body).number(4)
        if len(body) != 4:
            raise DamageError('the end of the data has a wrong length')
        self._summary = Summary(position + RECORD_HEAD + len(body), self._names)
        if crc and crc != self._checksum(0, position):
            self._note('the checksum of the data section does not match')

    def _on_footer(self, summary: Summary, position: int, body: bytes) -> None:
        """Compare the footer with the summary, and the file's end with what it should be."""
        summary.check_footer(position, body, self._checksum)
        if self._at(position + FOOTER_BYTES, len(MAGIC) + 1) != MAGIC:
            raise DamageError('the file does not end as MCAP files do')
        self._finished = True

    def _checksum(self, start: int, end: int) -> int:
        """Compute the CRC-32 of a part of the file."""
        crc = 0
        while start < end:
            piece = self._at(start, min(_PIECE, end - start))
            crc = crc32(piece, crc)
            start += len(piece)
        return crc

    def _compare(self) -> None:
        """Compare what was found with what the summary says, and drop messages of unknown topics."""
        indices = self._summary.indices if self._summary is not None else {}
        for position, size in self._exploding.items():
            if position in indices and indices[position].size > CHUNK_LIMIT:
                raise _explosion(position, size)
        blocks = self._found.blocks
        counts = sum((block.counts for block in blocks), Counter[int]())
        start = min((block.start for block in blocks), default=0)
        end = max((block.end for block in blocks), default=0)
        found = Statistics(counts.total(), len(self._chunks), start, end, dict(counts))
        if self._summary is not None and not self._found.notes:
            self._found.notes += self._summary.disagreements(self._chunks, found)
        if lost := sum(count for channel, count in counts.items() if channel not in self._found.channels):
            self._note(f'{lost} messages belong to topics whose names are lost')


def _explosion(position: int, size: int) -> ExplosionError:
    """Say why a file is refused."""
    return ExplosionError(
        f'expected chunks of at most {CHUNK_LIMIT} bytes, got one of {size} at byte {position}; do not use '
        f'this bag, or record it again with smaller chunks'
    )
