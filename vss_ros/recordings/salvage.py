"""The readable messages of files that may be damaged: MCAP through the library ``mcap``, sqlite3 by pages.

No file is believed: sizes are bounded before anything is allocated, and checksums are compared where the
writer left any.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections import Counter
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple
from zlib import crc32

from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, ChunkIndex, DataEnd, Footer, Message, Schema, Statistics

from vss_ros.errors import VssError
from vss_ros.recordings.unpacking import (
    CHUNK_LIMIT,
    PRIVATE,
    RECORD_HEAD,
    DamageError,
    expand,
    expand_message,
    records_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from mcap.records import McapRecord

_MAGIC: Final = b'\x89MCAP0\r\n'
_CHUNK_HEAD: Final = RECORD_HEAD + 40
"""Bytes of a chunk before its records, without the name of its compression."""
_FOOTER: Final = RECORD_HEAD + 20 + len(_MAGIC)
_IN_DATA: Final = {Opcode.HEADER, Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE_INDEX, Opcode.METADATA}


class Topic(NamedTuple):
    """A topic with the type of its messages, such as ``sensor_msgs/msg/Image``."""

    name: str
    msgtype: str


@dataclass
class _Run:
    """Readable records that lie together: a chunk, or messages outside of chunks."""

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


class McapFile:
    """The readable messages of an MCAP file; the whole file is read once and checked.

    A chunk counts when all of it is readable and its checksum matches; of a chunk in whose middle the file
    ends, the messages before that place count, without a checksum: that is of the whole chunk. Behind a
    damaged record reading goes on at the next chunk that the summary names, or without a summary where the
    record's own length says.
    """

    def __init__(self, path: Path, on_bytes: Callable[[int], Any], notes: list[str]) -> None:
        """Read and check; what is wrong is added to ``notes``, bytes that were checked go to ``on_bytes``.

        Raises:
            VssError: A chunk holds more than ``CHUNK_LIMIT`` bytes, or both its head and its index say so.
            OSError: The file does not open or read.
        """
        self._path, self._notes = path, notes
        self._runs: list[_Run] = []
        self._names: dict[tuple[type, int], Any] = {}  # schemas and channels by number
        self._indices: dict[int, int] = {}  # sizes of chunks by where they begin, as the summary says
        self._stated = -1  # messages by the statistics, if there are any
        with path.open('rb') as file:
            self._walk(file, on_bytes)
        self._topics = {
            number: Topic(channel.topic, schema.name)
            for (kind, number), channel in self._names.items()
            if kind is Channel and (schema := self._names.get((Schema, channel.schema_id)))
        }
        held = sum((run.counts for run in self._runs), Counter[int]())
        self.counts = Counter(dict.fromkeys(self._topics.values(), 0))
        """Messages by topic."""
        for number, topic in self._topics.items():
            self.counts[topic] += held[number]
        starts, ends = [run.start for run in self._runs], [run.end for run in self._runs]
        self.span = (min(starts, default=0), max(ends, default=0))
        """Earliest and latest bag time in nanoseconds; of no meaning without messages."""
        if lost := held.total() - self.counts.total():
            notes.append(f'{lost} messages belong to topics whose names are lost')
        if not notes and self._stated not in (-1, held.total()):
            notes.append(f'the statistics count {self._stated} messages, not {held.total()}')

    def messages(self, topics: Collection[Topic]) -> Iterator[tuple[Topic, int, bytes]]:
        """Yield topic, bag time and CDR bytes in the order of bag time, holding few chunks at a time."""
        wanted = {number: topic for number, topic in self._topics.items() if topic in topics}
        runs = sorted((run for run in self._runs if wanted.keys() & run.counts.keys()), key=lambda r: r.start)
        waiting: list[tuple[int, int, int, Message]] = []
        order = count()
        with self._path.open('rb') as file:
            for run in [*runs, None]:
                while waiting and (run is None or waiting[0][0] < run.start):
                    message = heappop(waiting)[-1]
                    with suppress(DamageError):
                        yield wanted[message.channel_id], message.log_time, expand_message(message.data)
                if run:
                    file.seek(run.offset)
                    raw, _ = expand(file.read(run.stored), run.compression, run.size)
                    with suppress(DamageError):  # a chunk that is cut off ends in the middle of a record
                        for record in records_in(raw):
                            if isinstance(record, Message) and record.channel_id in wanted:
                                heappush(waiting, (record.log_time, run.offset, next(order), record))

    def _walk(self, file: BinaryIO, on_bytes: Callable[[int], Any]) -> None:
        """Go from the first byte to the summary, record by record."""
        size = os.fstat(file.fileno()).st_size
        if file.read(len(_MAGIC)) != _MAGIC:
            self._notes.append('the file does not begin as MCAP files do')
        end = self._read_summary(file, size)
        missed, position, ended = set(self._indices), len(_MAGIC), False
        while position < end or missed:
            position = position if position < end else min(missed)
            missed.discard(position)
            file.seek(position)
            head = file.read(RECORD_HEAD)
            after = file.tell() + int.from_bytes(head[1:], 'little')
            cut = after > end == size
            try:
                if len(head) < RECORD_HEAD or (after > end and not (cut and head[0] == Opcode.CHUNK)):
                    raise DamageError('the file ends in a record, or a length is wrong')
                if head[0] < PRIVATE and head[0] != Opcode.ATTACHMENT:
                    self._take_record(head[:1], file, position, after, cut=cut)
                if head[0] == Opcode.DATA_END:
                    after, ended = max(end, after), True
            except DamageError as error:
                self._notes.append(f'{error}, at byte {position}')
                after = min(missed, default=after)
            on_bytes(max(0, min(after, size) - position))
            position = after
        if not (ended or self._notes):
            self._notes.append('the end of the data is missing')

    def _read_summary(self, file: BinaryIO, size: int) -> int:
        """Read what stands at the file's end; returns where the data end: there, or at the file's end."""
        file.seek(max(0, size - _FOOTER))
        # A file without a summary says 0 for its start.
        start = int.from_bytes(file.read()[RECORD_HEAD:][:8], 'little') or size - _FOOTER
        file.seek(min(max(0, start), size))
        tail, last = file.read(CHUNK_LIMIT), None
        with suppress(DamageError):
            for last in records_in(tail[: -len(_MAGIC)]):
                self._take([last], start)
                if isinstance(last, ChunkIndex) and last.chunk_start_offset < size:
                    self._indices[last.chunk_start_offset] = last.uncompressed_size
                elif isinstance(last, Statistics):
                    self._stated = last.message_count
        if tail.endswith(_MAGIC) and isinstance(last, Footer) and last.summary_crc in {0, crc32(tail[:-12])}:
            return start
        self._notes.append(f'the file ends at byte {size} without a readable summary')
        return size

    def _take_record(self, kind: bytes, file: BinaryIO, position: int, after: int, *, cut: bool) -> None:
        """Read a record's body and take it in; the file may end in it."""
        body = file.read(min(after - file.tell(), 2 * CHUNK_LIMIT))
        record = next(records_in(kind + len(body).to_bytes(8, 'little') + body))
        if isinstance(record, Chunk):
            if not cut and after != position + _CHUNK_HEAD + len(record.compression) + len(record.data):
                raise DamageError("a chunk's sizes contradict one another")
            self._take_chunk(record, position, cut=cut)
        elif isinstance(record, Message):
            # Of messages outside of chunks those that lie together, up to a megabyte, are a run.
            run = self._runs[-1] if self._runs else None
            if run is None or run.offset + run.stored != position or run.stored > 2**20:
                run = _Run(position)
                self._runs.append(run)
            run.stored = after - run.offset
            self._take([record], position, run)
        elif isinstance(record, DataEnd):
            file.seek(0)
            crc = 0
            for start in range(0, position, 2**20):
                crc = crc32(file.read(min(2**20, position - start)), crc)
            if record.data_section_crc not in {0, crc}:
                self._notes.append('the checksum of the data does not match')
        elif kind[0] in _IN_DATA:
            self._take([record], position, _Run(position))
        else:
            raise DamageError(f'a record of kind {kind[0]} does not belong into the data')

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
                self._take(records_in(raw), position)
            raise DamageError('a chunk does not decompress, or its checksum does not match')
        run = _Run(position + _CHUNK_HEAD + len(name), len(chunk.data), name, size)
        with suppress(DamageError) if cut else nullcontext():
            self._take(records_in(raw), position, run)
        if cut:
            self._notes.append(f'the file ends in a chunk, {run.counts.total()} messages of which are there')
        self._runs.append(run)

    def _take(self, records: Iterable[McapRecord], position: int, run: _Run | None = None) -> None:
        """Take in what names topics, and the readable messages of a run.

        Without a run the records are doubtful: their names count only where there are no others.
        """
        for record in records:
            if isinstance(record, (Schema, Channel)):
                key = (type(record), record.id)
                self._names[key] = record if run else self._names.get(key, record)
            elif isinstance(record, Message) and run:
                try:
                    expand_message(record.data)
                except DamageError as error:
                    self._notes.append(f'{error}, in what begins at byte {position}')
                    continue
                run.start, run.end = min(run.start, record.log_time), max(run.end, record.log_time)
                run.counts[record.channel_id] += 1


# ------------------------------------------------------------------ sqlite3

_WIDTHS: Final = {1: 65536} | {2**power: 2**power for power in range(9, 16)}
"""Bytes of a page of SQLite by the number in the header."""
_LEAF: Final = b'\x0d'
"""First byte of a page that holds rows of a table."""
_TABLES: Final = """
PRAGMA synchronous = OFF;
CREATE TABLE topics(id INTEGER PRIMARY KEY, name, type, serialization_format, offered_qos_profiles);
CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id, timestamp, data);
CREATE INDEX timestamp_idx ON messages (timestamp);
"""


def recover_sqlite(path: Path, target: Path) -> int:
    """Copy every message that SQLite can still read into a new file; returns how many had to be left out.

    Each page that holds rows is made the root of a table in a copy of the file, so that SQLite reads it
    without the damaged tree above it. Left out are messages that do not decompress or belong to no topic.

    Raises:
        VssError: There is no space for them.
    """
    copy, size, lost = target.with_name('copy'), path.stat().st_size, 0
    try:
        shutil.copyfile(path, copy)
        # What is missing of the last page is filled in two ways: rows that differ then are not whole.
        whole = set(map(hash, _rows(copy, size, b'\1')))
        with closing(sqlite3.connect(target)) as database, database:
            database.executescript(_TABLES)
            for row in _rows(copy, size, b'\0'):
                lost += hash(row) in whole and not _keep(database, row)
            nameless = 'DELETE FROM messages WHERE topic_id NOT IN (SELECT id FROM topics)'
            return lost + database.execute(nameless).rowcount
    except (OSError, sqlite3.Error) as error:
        raise VssError(f'expected to copy what can be read of {path} to {target}, got: {error}') from error
    finally:
        copy.unlink(missing_ok=True)


def _keep(database: sqlite3.Connection, row: tuple[Any, ...]) -> bool:
    """Put a row into the table that alone has such rows, if any; says whether it was readable."""
    match row:
        case int(), str(name), str(msgtype), str() if name.startswith('/') and '/msg/' in msgtype:
            database.execute("INSERT OR REPLACE INTO topics VALUES (?, ?, ?, ?, '')", row)
        case int(), int(), int(), bytes(data):
            try:
                expand_message(data)
            except DamageError:
                return False
            database.execute('INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?)', row)
    return True


def _rows(copy: Path, size: int, filling: bytes) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of all pages of a copy, up to four columns of each; its first page is overwritten.

    Up to its last page's end, which begins at ``size`` where the page is cut off, the copy is filled up.
    """
    with copy.open('r+b') as file:
        width = _WIDTHS.get(int.from_bytes(file.read(18)[16:], 'big'), 4096)
        pages = -(-size // width)
        file.seek(size)
        file.write(filling * (pages * width - size))
        with closing(sqlite3.connect(':memory:')) as model:
            model.execute(f'PRAGMA page_size = {width}')
            model.execute('CREATE TABLE found(id INTEGER PRIMARY KEY, a, b, c)')
            first = bytearray(model.serialize()[:width])
        first[28:32] = pages.to_bytes(4, 'big')  # how many the file has
        file.seek(0)
        file.write(first)
        places = range(width, pages * width, width)
        leaves = [place // width + 1 for place in places if file.seek(place) and file.read(1) == _LEAF]
    if not leaves:
        return
    with closing(sqlite3.connect(copy, isolation_level=None)) as database:
        for pragma in ('journal_mode = OFF', 'synchronous = OFF', 'locking_mode = EXCLUSIVE'):
            database.execute(f'PRAGMA {pragma}')
        for root in leaves:
            with suppress(sqlite3.Error):
                database.execute('PRAGMA writable_schema = ON')
                database.execute('UPDATE sqlite_master SET rootpage = ?', [root])
                database.execute('PRAGMA writable_schema = RESET')
                for key in database.execute('SELECT id FROM found').fetchall():
                    with suppress(sqlite3.Error):
                        yield from database.execute('SELECT id, a, b, c FROM found WHERE id = ?', key)


def finish_sqlite(path: Path, copy: Path) -> bool:
    """Say whether the recorder left a log beside a file; then the copy holds what SQLite reads of both."""
    logs = [suffix for suffix in ('-wal', '-journal') if Path(f'{path}{suffix}').exists()]
    if not any(Path(f'{path}{suffix}').stat().st_size for suffix in logs):
        return False
    for suffix in ['', *logs]:
        shutil.copyfile(f'{path}{suffix}', f'{copy}{suffix}')
    try:
        with closing(sqlite3.connect(copy)) as database:
            database.execute('PRAGMA journal_mode = DELETE')  # takes in what a WAL holds
    except sqlite3.Error:
        shutil.copyfile(path, copy)
    for suffix in logs:
        Path(f'{copy}{suffix}').unlink(missing_ok=True)
    return True
