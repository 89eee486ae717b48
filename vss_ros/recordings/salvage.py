"""Bags that may be damaged: what can be had of them, and whether that is all.

``recordings.bags.open_bag`` refuses a damaged bag; ``open_checked`` reads every file to its end first, says
what is wrong (``partial``) and gives every complete message. ``mcap_file`` reads MCAP; sqlite3 is read here.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rosbags.interfaces import Connection, ConnectionExtRosbag2, MessageDefinition, MessageDefinitionFormat

from vss_ros.errors import VssError
from vss_ros.recordings.bag_files import (
    COMPRESSED,
    ZSTD_MAGIC,
    DamageError,
    Topic,
    expand_file,
    expand_message,
    read_metadata,
    storage_files,
)
from vss_ros.recordings.bags import open_bag
from vss_ros.recordings.mcap_file import McapFile

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from vss_ros.recordings.bag_files import Metadata

_NAMED: Final = 3
"""How many places of damage are named."""
_SLACK_NS: Final = 10**6
"""How far times in metadata.yaml may lie from those of the messages."""


class CheckedBag:
    """A bag's readable messages. Every call of ``messages`` begins anew, and several may run at a time."""

    def __init__(self, path: Path, files: list[McapFile | _SqliteFile], notes: list[str]) -> None:
        """Put files, in the order of time, together; ``notes`` say what is wrong."""
        self.path = path
        self._files = files
        more = [f'and {len(notes) - _NAMED} more'] if len(notes) > _NAMED else []
        self.partial = '; '.join([*notes[:_NAMED], *more]) or None
        """What is wrong with it, in one line; None where it is whole."""
        counts: Counter[Topic] = Counter()
        for file in files:
            counts.update(file.counts)
        self.message_count = counts.total()
        spans = [file.span for file in files if file.counts.total()]
        self.start_time = min((start for start, _ in spans), default=2**63 - 1)
        """Bag time of the first message, in nanoseconds."""
        self.end_time = max((end for _, end in spans), default=-1) + 1
        """Bag time after the last message, in nanoseconds."""
        nothing, ext = MessageDefinition(MessageDefinitionFormat.NONE, ''), ConnectionExtRosbag2('cdr', [])
        self.connections = [
            Connection(number, topic.name, topic.msgtype, nothing, '', counts[topic], ext, self)
            for number, topic in enumerate(counts, 1)
        ]
        """One for each topic and type."""

    def messages(self, connections: Iterable[Connection]) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield connection, bag time in nanoseconds and CDR bytes, file by file, in the order of bag time."""
        wanted = {Topic(c.topic, c.msgtype): c for c in connections}
        for file in self._files:
            for topic, time_ns, data in file.messages(wanted):
                yield wanted[topic], time_ns, data


@contextmanager
def open_checked(path: Path, on_bytes: Callable[[int], Any] = lambda _: None) -> Iterator[CheckedBag]:
    """Open a bag that may be damaged; all of it is read once and checked.

    Args:
        path: A bag folder, or a bare ``.mcap`` or ``.db3`` file. A folder without metadata.yaml, as a killed
            recorder leaves it, counts as damaged.
        on_bytes: Called with every count of bytes that were checked.

    Yields:
        The bag; its ``partial`` says what is wrong.

    Raises:
        VssError: Nothing of it reads, it declares chunks or messages larger than ``CHUNK_LIMIT``, or it
            names files outside of its folder.
    """
    with ExitStack() as stack:
        paths, metadata, notes = _list_files(path)
        files: list[McapFile | _SqliteFile] = []
        for file in paths:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix='vss-bag-'))
            wrong: list[str] = []
            files += _open_file(file, Path(folder), on_bytes, wrong)
            notes += [f'{file.name}: {note}' for note in wrong]
        bag = CheckedBag(path, files, notes)
        if metadata is not None and not notes:
            bag = CheckedBag(path, files, _disagreements(metadata, bag))
        if bag.partial and not bag.message_count:
            raise VssError(
                f'expected a readable rosbag2 bag, got no readable message in {path}: {bag.partial}; record '
                f'it again or take a copy that is whole'
            )
        yield bag


def _list_files(path: Path) -> tuple[list[Path], Metadata | None, list[str]]:
    """Find a bag's files; also returns what the folder says of them and what is wrong with it."""
    if path.is_file():
        return [path], None, []
    if not path.is_dir():
        raise VssError(
            f'expected a readable rosbag2 bag (a folder with metadata.yaml, a .mcap or a .db3), got {path}, '
            f'which does not exist'
        )
    try:
        metadata = read_metadata(path)
    except DamageError as error:
        return storage_files(path), None, [str(error)]
    # Before version 4 of the format the names began with the bag's own.
    paths = [path / Path(name).name for name in metadata.relative_file_paths]
    present = [file for file in paths if file.is_file()]
    notes = [f'{file.name} is missing' for file in paths if file not in present]
    return present or storage_files(path), metadata, notes


def _open_file(
    path: Path, folder: Path, on_bytes: Callable[[int], Any], notes: list[str]
) -> list[McapFile | _SqliteFile]:
    """Check one file and note what is wrong with it; returns what reads it, if anything does."""
    if path.name.endswith(COMPRESSED):
        target = folder / path.name.removesuffix(COMPRESSED)
        if not expand_file(path, target):
            notes.append('it does not decompress to its end')
        path = target
    if path.suffix == '.mcap':
        mcap = McapFile(path, on_bytes)
        notes += mcap.notes
        return [mcap]
    if path.suffix != '.db3':
        notes.append('it is neither a .mcap nor a .db3')
        return []
    on_bytes(path.stat().st_size)
    if any(log.exists() and log.stat().st_size for log in _logs_of(path)):
        notes.append('its recorder did not finish it')
        path = _finish(path, folder / 'finished.db3')
    try:
        return [_SqliteFile(path)]
    except DamageError as error:
        notes.append(str(error))
    if lost := _recover(path, folder / 'recovered.db3'):
        notes.append(f'{lost} messages do not decompress, or belong to topics whose names are lost')
    return [_SqliteFile(folder / 'recovered.db3')]


def _disagreements(metadata: Metadata, bag: CheckedBag) -> list[str]:
    said: Counter[Topic] = Counter()
    for entry in metadata.topics:
        said[Topic(entry.name, entry.type)] += entry.message_count
    held = Counter({Topic(c.topic, c.msgtype): c.msgcount for c in bag.connections})
    notes = [
        f'metadata.yaml counts {said[topic]} messages on {topic.name}, the files hold {held[topic]}'
        for topic in {**said, **held}
        if said[topic] != held[topic]
    ]
    start, end = metadata.start_ns, metadata.start_ns + metadata.duration_ns
    off = max(abs(start - bag.start_time), abs(end - bag.end_time))
    if bag.message_count and off > _SLACK_NS:
        notes.append(f'metadata.yaml names times that are {off / 1e9:.3f} s off')
    return notes


# ------------------------------------------------------------------ sqlite3

_WIDTHS: Final = {2**power for power in range(9, 16)}
"""Bytes that a page of SQLite may have, and 65536, for which the header says 1."""
_LEAF: Final = b'\x0d'
"""First byte of a page that holds rows of a table."""
_TABLES: Final = """
PRAGMA synchronous = OFF;
CREATE TABLE topics(id INTEGER PRIMARY KEY, name, type, serialization_format, offered_qos_profiles);
CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id, timestamp, data);
CREATE INDEX timestamp_idx ON messages (timestamp);
"""


class _SqliteFile:
    """An sqlite3 file without damage, read by rosbags."""

    def __init__(self, path: Path) -> None:
        """Check it as far as that goes.

        SQLite has no checksums: damaged structure and missing pages are found, no flipped bit in a picture.

        Raises:
            DamageError: It is damaged, or rosbags does not read it.
            VssError: A message decompresses to more than the limit.
        """
        self._path = path
        self.counts: Counter[Topic] = Counter()
        try:
            with closing(sqlite3.connect(f'{path.absolute().as_uri()}?immutable=1', uri=True)) as database:
                database.execute('PRAGMA trusted_schema = OFF')
                ((pages,),) = database.execute('PRAGMA page_count')
                ((width,),) = database.execute('PRAGMA page_size')
                if pages * width != (size := path.stat().st_size):
                    raise DamageError(f'expected {pages} pages of {width} bytes, got {size} bytes')
                ((verdict,),) = database.execute('PRAGMA integrity_check(1)')
                if verdict != 'ok':
                    raise DamageError(' '.join(str(verdict).split()))
                query = 'SELECT data FROM messages WHERE substr(data, 1, 4) = ?'
                for (data,) in database.execute(query, [ZSTD_MAGIC]):
                    expand_message(data)
        except sqlite3.Error as error:
            raise DamageError(str(error)) from error
        try:
            with open_bag(path) as reader:
                for connection in reader.connections:
                    self.counts[Topic(connection.topic, connection.msgtype)] += connection.msgcount
                self.span = (reader.start_time, reader.end_time - 1)
        except VssError as error:
            raise DamageError(str(error)) from error

    def messages(self, topics: Collection[Topic]) -> Iterator[tuple[Topic, int, bytes]]:
        """Yield topic, bag time and CDR bytes in the order of bag time."""
        with open_bag(self._path) as reader:
            wanted = [c for c in reader.connections if Topic(c.topic, c.msgtype) in topics]
            # To rosbags an empty list means every topic, or none, by the kind of file.
            for connection, time_ns, data in reader.messages(wanted) if wanted else ():
                with suppress(DamageError):  # compressed by itself and damaged
                    yield Topic(connection.topic, connection.msgtype), time_ns, expand_message(data)


def _recover(path: Path, target: Path) -> int:
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
        width = int.from_bytes(file.read(18)[16:], 'big')
        width = width if width in _WIDTHS else 65536 if width == 1 else 4096
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


def _finish(path: Path, copy: Path) -> Path:
    """Copy an unfinished file and let SQLite take its log into the copy, where it can read that."""
    for source, target in zip([path, *_logs_of(path)], [copy, *_logs_of(copy)], strict=True):
        if source.exists():
            shutil.copyfile(source, target)
    try:
        with closing(sqlite3.connect(copy)) as database:
            database.execute('PRAGMA journal_mode = DELETE')  # takes in what a WAL holds
    except sqlite3.Error:
        shutil.copyfile(path, copy)
    for log in _logs_of(copy):
        log.unlink(missing_ok=True)
    return copy


def _logs_of(path: Path) -> list[Path]:
    """Return where SQLite keeps the log or journal of a file that is being written."""
    return [path.with_name(path.name + suffix) for suffix in ('-wal', '-journal')]
