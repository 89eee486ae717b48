"""The messages of an MCAP file that may be damaged, read through the library ``mcap``.

Nothing in the file is believed: sizes are bounded before anything is allocated, and checksums are compared
where the writer left any.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from heapq import heappop, heappush
from io import BytesIO
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from mcap.data_stream import RecordBuilder
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, ChunkIndex, DataEnd, Footer, Message, Schema, Statistics
from mcap.stream_reader import StreamReader

from vss_ros.errors import VssError
from vss_ros.recordings.bag_files import CHUNK_LIMIT, DamageError, Topic, expand, expand_message

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from mcap.records import McapRecord

_MAGIC: Final = b'\x89MCAP0\r\n'
_RECORD_HEAD: Final = 9
"""Bytes of an MCAP record before its body: opcode and length."""
_CHUNK_HEAD: Final = _RECORD_HEAD + 40
"""Bytes of a chunk before its records, without the name of its compression."""
_FOOTER_BYTES: Final = _RECORD_HEAD + 20 + len(_MAGIC)
_PRIVATE: Final = 0x80
"""Opcodes from here on are for private use; the specification wants them passed over."""
_IN_DATA: Final = {Opcode.HEADER, Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE_INDEX, Opcode.METADATA}
_PARSE_ERRORS: Final = (McapError, struct.error, ValueError, OverflowError)
_PIECE: Final = 2**16


def _records_in(raw: bytes | bytearray) -> Iterator[McapRecord]:
    """Yield the records of a decompressed chunk, or of another run of MCAP records.

    Raises:
        DamageError: One does not read or is cut off; those before it have been yielded.
    """
    position = 0
    while position < len(raw):
        end = position + _RECORD_HEAD + int.from_bytes(raw[position + 1 : position + _RECORD_HEAD], 'little')
        if end > len(raw):
            raise DamageError('a record is cut off')
        if raw[position] < _PRIVATE:
            stream = StreamReader(BytesIO(raw[position:end]), skip_magic=True, emit_chunks=True)
            try:
                yield next(stream.records)
            except _PARSE_ERRORS as error:
                raise DamageError(f'a record of kind {raw[position]} does not read') from error
        position = end


@dataclass
class _Block:
    """A run of readable records: a chunk, or messages that lie outside of chunks."""

    offset: int
    """Of its (compressed) records in the file."""
    stored: int = 0
    """Their bytes in the file."""
    compression: str = ''
    size: int = CHUNK_LIMIT
    """Their bytes without compression, or more."""
    start: int = 2**63 - 1
    """Earliest bag time in it, in nanoseconds."""
    end: int = 0
    counts: Counter[int] = field(default_factory=Counter)
    """Messages by channel."""

    def messages(self, file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
        """Yield channel, bag time and CDR bytes of its messages, leaving out those that do not decompress."""
        file.seek(self.offset)
        with suppress(DamageError):  # a chunk that is cut off ends in the middle of a record
            for record in _records_in(expand(file.read(self.stored), self.compression, self.size)[0]):
                with suppress(DamageError):
                    if isinstance(record, Message):
                        yield record.channel_id, record.log_time, expand_message(record.data)


class McapFile:
    """The readable messages of an MCAP file; the whole file is read once and checked.

    A chunk counts when all of it is readable and its checksum matches; of a chunk at whose middle the file
    ends, the messages before that place count, for which nothing vouches: the checksum is of the whole.
    Behind a damaged record reading goes on at the next chunk that the summary names, or without a summary
    where the record's own length says.
    """

    def __init__(self, path: Path, on_bytes: Callable[[int], Any]) -> None:
        """Read and check; ``on_bytes`` is called with every count of bytes that were checked.

        Raises:
            VssError: A chunk holds more than ``CHUNK_LIMIT`` bytes, or both its head and its index say so.
            OSError: The file does not open or read.
        """
        self.notes: list[str] = []
        """What is wrong with the file; empty where it is whole."""
        self._path = path
        self._blocks: list[_Block] = []
        self._names: dict[tuple[type, int], Any] = {}
        """Schemas and channels by number."""
        self._indices: dict[int, int] = {}
        """Sizes of chunks by where they begin, as the summary says."""
        self._stated: list[int] = []
        """How many messages there are by the statistics, where there are any."""
        with path.open('rb') as file:
            self._survey(file, on_bytes)
        self._topics = {
            number: Topic(channel.topic, schema.name)
            for (kind, number), channel in self._names.items()
            if kind is Channel and (schema := self._names.get((Schema, channel.schema_id)))
        }
        held = sum((block.counts for block in self._blocks), Counter[int]())
        self.counts = Counter(dict.fromkeys(self._topics.values(), 0))
        """Messages by topic."""
        for number, topic in self._topics.items():
            self.counts[topic] += held[number]
        self.span = (
            min((block.start for block in self._blocks), default=0),
            max((block.end for block in self._blocks), default=0),
        )
        """Earliest and latest bag time in nanoseconds; of no meaning without messages."""
        if lost := held.total() - self.counts.total():
            self.notes.append(f'{lost} messages belong to topics whose names are lost')
        if not self.notes and self._stated not in ([], [held.total()]):
            self.notes.append(f'the statistics count {self._stated[0]} messages, not {held.total()}')

    def messages(self, topics: Collection[Topic]) -> Iterator[tuple[Topic, int, bytes]]:
        """Yield topic, bag time and CDR bytes in the order of bag time, holding few chunks at a time."""
        wanted = {number: topic for number, topic in self._topics.items() if topic in topics}
        blocks = [block for block in self._blocks if wanted.keys() & block.counts.keys()]
        waiting: list[tuple[int, int, int, Topic, bytes]] = []
        order = count()
        with self._path.open('rb') as file:
            for block in [*sorted(blocks, key=lambda block: block.start), None]:
                while waiting and (block is None or waiting[0][0] < block.start):
                    time_ns, _, _, topic, data = heappop(waiting)
                    yield topic, time_ns, data
                for number, time_ns, data in block.messages(file) if block else ():
                    if block and number in wanted:
                        heappush(waiting, (time_ns, block.offset, next(order), wanted[number], data))

    def _survey(self, file: BinaryIO, on_bytes: Callable[[int], Any]) -> None:
        """Walk from the first byte to the summary."""
        size = os.fstat(file.fileno()).st_size
        if file.read(len(_MAGIC)) != _MAGIC:
            self.notes.append('the file does not begin as MCAP files do')
        end = self._read_summary(file, size)
        missed, position, ended = set(self._indices), len(_MAGIC), False
        while position < end or missed:
            position = position if position < end else min(missed)
            missed.discard(position)
            file.seek(position)
            head = file.read(_RECORD_HEAD)
            after = position + _RECORD_HEAD + int.from_bytes(head[1:], 'little')
            cut = after > end == size
            try:
                if len(head) < _RECORD_HEAD or (after > end and not (cut and head[0] == Opcode.CHUNK)):
                    raise DamageError('the file ends in a record, or a length is wrong')
                if head[0] < _PRIVATE and head[0] != Opcode.ATTACHMENT:
                    self._read_record(file, position, after, cut=cut)
                if head[0] == Opcode.DATA_END:
                    after, ended = max(end, after), True
            except DamageError as error:
                self.notes.append(f'{error}, at byte {position}')
                after = min(missed, default=after)
            on_bytes(max(0, min(after, size) - position))
            position = after
        if not (ended or self.notes):
            self.notes.append('the end of the data is missing')

    def _read_summary(self, file: BinaryIO, size: int) -> int:
        """Read what stands at the file's end; returns where the data end: there, or at the file's end."""
        file.seek(max(0, size - _FOOTER_BYTES))
        # A file without a summary says 0 for its start.
        start = int.from_bytes(file.read()[_RECORD_HEAD:][:8], 'little') or size - _FOOTER_BYTES
        file.seek(min(max(0, start), size))
        tail, last = file.read(CHUNK_LIMIT), None
        with suppress(DamageError):
            for last in _records_in(tail[: -len(_MAGIC)]):
                self._take([last], start)
                if isinstance(last, ChunkIndex) and last.chunk_start_offset < size:
                    self._indices[last.chunk_start_offset] = last.uncompressed_size
                elif isinstance(last, Statistics):
                    self._stated = [last.message_count]
        if tail.endswith(_MAGIC) and isinstance(last, Footer) and last.summary_crc in {0, crc32(tail[:-12])}:
            return start
        self.notes.append(f'the file ends at byte {size} without a readable summary')
        return size

    def _read_record(self, file: BinaryIO, position: int, after: int, *, cut: bool) -> None:
        """Read and take in the record between two places of the file; it may be cut off by the file's end."""
        file.seek(position)
        raw = file.read(min(after - position, 2 * CHUNK_LIMIT))
        length = len(raw) - _RECORD_HEAD
        record = next(_records_in(raw[:1] + length.to_bytes(8, 'little') + raw[_RECORD_HEAD:]))
        if isinstance(record, Chunk):
            if not cut and after != position + _CHUNK_HEAD + len(record.compression) + len(record.data):
                raise DamageError("a chunk's sizes contradict one another")
            self._take_chunk(record, position, cut=cut)
        elif isinstance(record, Message):
            # Messages outside of chunks: a run of them makes a block.
            block = self._blocks[-1] if self._blocks else None
            if block is None or block.offset + block.stored != position or block.stored > 2**20:
                block = _Block(position)
                self._blocks.append(block)
            block.stored = after - block.offset
            self._take([record], position, block)
        elif isinstance(record, DataEnd):
            if record.data_section_crc not in {0, _checksum(file, position)}:
                self.notes.append('the checksum of the data does not match')
        elif raw[0] in _IN_DATA:
            self._take([record], position, _Block(position))
        else:
            raise DamageError(f'a record of kind {raw[0]} does not belong into the data')

    def _take_chunk(self, chunk: Chunk, position: int, *, cut: bool) -> None:
        """Take in a chunk where it is intact; its beginning where the file ends in it."""
        size, name = chunk.uncompressed_size, chunk.compression
        raw, whole = expand(chunk.data, name, min(size, CHUNK_LIMIT))
        if len(raw) > CHUNK_LIMIT or min(size, self._indices.get(position, 0)) > CHUNK_LIMIT:
            raise VssError(
                f'expected chunks of at most {CHUNK_LIMIT} bytes, got one of {size} at byte {position}; do '
                f'not use this bag, or record it again with smaller chunks'
            )
        if not cut and not (whole and len(raw) == size and chunk.uncompressed_crc in {0, crc32(raw)}):
            with suppress(DamageError):  # some writers name topics in the first chunk and the summary only
                self._take(_records_in(raw), position)
            raise DamageError('a chunk does not decompress, or its checksum does not match')
        block = _Block(position + _CHUNK_HEAD + len(name), len(chunk.data), name, size)
        with suppress(DamageError) if cut else nullcontext():
            self._take(_records_in(raw), position, block)
        if cut:
            self.notes.append(f'the file ends in a chunk, {block.counts.total()} messages of which are there')
        self._blocks.append(block)

    def _take(self, records: Iterable[McapRecord], position: int, block: _Block | None = None) -> None:
        """Take in what names topics, and the readable messages of a block.

        Without a block the records are doubtful: their names count only where there are no others.
        """
        for record in records:
            if isinstance(record, (Schema, Channel)):
                key = (type(record), record.id)
                self._names[key] = record if block else self._names.get(key, record)
            elif isinstance(record, Message) and block:
                try:
                    expand_message(record.data)
                except DamageError as error:
                    self.notes.append(f'{error}, in what begins at byte {position}')
                    continue
                block.start, block.end = min(block.start, record.log_time), max(block.end, record.log_time)
                block.counts[record.channel_id] += 1


def _checksum(file: BinaryIO, end: int) -> int:
    file.seek(0)
    crc = 0
    for start in range(0, end, _PIECE):
        crc = crc32(file.read(min(_PIECE, end - start)), crc)
    return crc


def seal(path: Path) -> None:
    """Fill in the checksums of chunks, data and summary; rosbags writes zeros, which mean none.

    With them a flipped bit anywhere in the file, which rosbags has closed, is noticed. It keeps its size.
    """
    with path.open('r+b') as file:
        crc = crc32(file.read(len(_MAGIC)))
        for record in StreamReader(file, skip_magic=True, emit_chunks=True).records:
            if isinstance(record, Chunk):
                raw, _ = expand(record.data, record.compression, record.uncompressed_size)
                record.uncompressed_crc = crc32(raw)
            elif isinstance(record, DataEnd):
                record.data_section_crc = crc
            builder = RecordBuilder()
            record.write(builder)
            blob = builder.end()  # type: ignore[no-untyped-call]
            if isinstance(record, Footer):
                blob = blob[:-4] + crc32(blob[:-4], crc).to_bytes(4, 'little')
            file.seek(-len(blob), os.SEEK_CUR)
            file.write(blob)
            # The summary, which begins behind the end of the data, has a checksum of its own.
            crc = 0 if isinstance(record, DataEnd) else crc32(blob, crc)
