"""The messages of an sqlite3 bag, also of one that its recorder did not finish or that is damaged."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, Final

from vss_ros.errors import VssError
from vss_ros.recordings.bag_metadata import DamageError, Topic
from vss_ros.recordings.bags import open_bag
from vss_ros.recordings.compression import ZSTD_MAGIC, expand_message

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

_LOGS: Final = ('-wal', '-journal')
"""What SQLite keeps beside a file that is being written."""
_WIDTHS: Final = {2**power for power in range(9, 16)}
"""Bytes that a page of SQLite may have, and 65536, for which the header says 1."""
_USUAL_WIDTH: Final = 4096
_LEAF: Final = b'\x0d'
"""First byte of a page that holds rows of a table."""
_TABLES: Final = """
PRAGMA synchronous = OFF;
CREATE TABLE topics(id INTEGER PRIMARY KEY, name, type, serialization_format, offered_qos_profiles);
CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id, timestamp, data);
CREATE INDEX timestamp_idx ON messages (timestamp);
"""


class SqliteFile:
    """An sqlite3 file without damage, read by rosbags."""

    def __init__(self, path: Path) -> None:
        """Look at its index.

        Raises:
            DamageError: rosbags does not read it.
        """
        self._path = path
        self.counts: dict[Topic, int] = {}
        try:
            with open_bag(path) as reader:
                for connection in reader.connections:
                    topic = Topic(connection.topic, connection.msgtype)
                    self.counts[topic] = self.counts.get(topic, 0) + connection.msgcount
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


def check_sqlite(path: Path) -> None:
    """Check a file as far as that goes.

    SQLite has no checksums: ``PRAGMA integrity_check`` finds damaged structure and missing pages, not a
    flipped bit within a picture.

    Raises:
        DamageError: Something is wrong with it.
        VssError: A message decompresses to more than the limit.
    """
    try:
        with closing(sqlite3.connect(f'{path.absolute().as_uri()}?immutable=1', uri=True)) as database:
            database.execute('PRAGMA trusted_schema = OFF')
            ((pages,),) = database.execute('PRAGMA page_count')
            ((width,),) = database.execute('PRAGMA page_size')
            if pages * width != path.stat().st_size:
                raise DamageError(f'expected {pages} pages of {width} bytes, got {path.stat().st_size} bytes')
            ((verdict,),) = database.execute('PRAGMA integrity_check(1)')
            if verdict != 'ok':
                raise DamageError(' '.join(str(verdict).split()))
            query = 'SELECT data FROM messages WHERE substr(data, 1, 4) = ?'
            for (data,) in database.execute(query, [ZSTD_MAGIC]):
                expand_message(data)
    except sqlite3.Error as error:
        raise DamageError(str(error)) from error


def recover_sqlite(path: Path, folder: Path) -> int:
    """Copy every message that SQLite can still read into a new file of the same name.

    Each page that holds rows is made the root of a table in a copy of the file, so that SQLite reads it
    without the damaged tree above it.

    Args:
        path: The damaged file.
        folder: Another folder, in which the new file and, meanwhile, the copy are made.

    Returns:
        How many messages were left out: they do not decompress, or the names of their topics are lost.

    Raises:
        VssError: There is no space for them.
    """
    copy, target = folder / 'copy', folder / path.name
    size, lost = path.stat().st_size, 0
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
        raise VssError(f'expected to copy what can be read of {path} to {folder}, got: {error}') from error
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
    """Yield the rows of all pages, up to four columns of each.

    Args:
        copy: The file, whose first page and last page are overwritten.
        size: Of the file as it was.
        filling: Byte for what is missing of the last page.
    """
    with copy.open('r+b') as file:
        width = int.from_bytes(file.read(18)[16:], 'big')
        width = width if width in _WIDTHS else 65536 if width == 1 else _USUAL_WIDTH
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
        leaves = []
        for page in range(2, pages + 1):
            file.seek((page - 1) * width)
            if file.read(1) == _LEAF:
                leaves.append(page)
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


def has_log(path: Path) -> bool:
    """Say whether a recorder left a file unfinished: with a log or journal beside it."""
    return any(log.stat().st_size for log in _beside(path) if log.exists())


def finish(path: Path, folder: Path) -> Path:
    """Copy an unfinished file and let SQLite take in its log or journal, which changes the file.

    Args:
        path: The file, which stays as it is.
        folder: Where to copy to.

    Returns:
        The copy; without what the log holds where SQLite can't read it.
    """
    copy = folder / path.name
    for source, target in zip([path, *_beside(path)], [copy, *_beside(copy)], strict=True):
        if source.exists():
            shutil.copyfile(source, target)
    try:
        with closing(sqlite3.connect(copy)) as database:
            database.execute('PRAGMA wal_checkpoint(TRUNCATE)')
            database.execute('PRAGMA journal_mode = DELETE')
    except sqlite3.Error:
        shutil.copyfile(path, copy)
    for log in _beside(copy):
        log.unlink(missing_ok=True)
    return copy


def _beside(path: Path) -> list[Path]:
    """Return where SQLite keeps a file's log or journal."""
    return [path.with_name(path.name + suffix) for suffix in _LOGS]
