"""What can be had of an sqlite3 bag, and whether that is all of it.

SQLite has no checksums: ``PRAGMA integrity_check`` finds damaged structure and missing pages, not a flipped
bit within a picture. Of a damaged file every page is looked at by itself, as SQLite's own ``.recover`` does;
a row is taken where all of it is there.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from vss_ros.recordings.salvage.compression import ZSTD_MAGIC, DamageError, expand_message
from vss_ros.recordings.salvage.pages import Pages, Row
from vss_ros.recordings.salvage.summary import Channel

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

_SIDECARS: Final = ('-wal', '-journal')


def check_sqlite(path: Path) -> str:
    """Say what is wrong with a file; empty where nothing is.

    Raises:
        ExplosionError: A message decompresses to more than the limit.
    """
    try:
        with closing(sqlite3.connect(f'{path.absolute().as_uri()}?immutable=1', uri=True)) as database:
            database.execute('PRAGMA trusted_schema = OFF')
            ((pages,),) = database.execute('PRAGMA page_count')
            ((width,),) = database.execute('PRAGMA page_size')
            if pages * width != path.stat().st_size:
                return f'expected {pages} pages of {width} bytes, got {path.stat().st_size} bytes'
            ((verdict,),) = database.execute('PRAGMA integrity_check(1)')
            if verdict != 'ok':
                return ' '.join(str(verdict).split())
            compressed = 'SELECT data FROM messages WHERE substr(data, 1, 4) = ?'
            for (data,) in database.execute(compressed, [ZSTD_MAGIC]):
                expand_message(data)
    except (sqlite3.Error, DamageError) as error:
        return str(error)
    return ''


def is_open(path: Path) -> bool:
    """Say whether a recorder left the file unfinished: with a log or journal beside it."""
    return any(_beside(path, suffix).stat().st_size for suffix in _SIDECARS if _beside(path, suffix).exists())


def finish(path: Path, folder: Path) -> Path:
    """Copy an unfinished file and let SQLite take in its log or journal, which changes the file.

    Args:
        path: The file, which stays as it is.
        folder: Where to copy to.

    Returns:
        The copy; without what the log holds where SQLite can't read it.
    """
    copy = folder / path.name
    for suffix in ('', *_SIDECARS):
        if _beside(path, suffix).exists():
            shutil.copyfile(_beside(path, suffix), _beside(copy, suffix))
    try:
        with closing(sqlite3.connect(copy)) as database:
            database.execute('PRAGMA wal_checkpoint(TRUNCATE)')
            database.execute('PRAGMA journal_mode = DELETE')
    except sqlite3.Error:
        shutil.copyfile(path, copy)
    for suffix in _SIDECARS:
        _beside(copy, suffix).unlink(missing_ok=True)
    return copy


def _beside(path: Path, suffix: str) -> Path:
    """Return the file whose name is longer by a suffix."""
    return path.with_name(path.name + suffix)


class _Found(NamedTuple):
    """Where a message is."""

    time_ns: int
    number: int
    topic: int
    page: int
    cell: int


class SqliteRest:
    """The rows of a damaged file."""

    def __init__(self, path: Path) -> None:
        """Look at every page.

        Raises:
            OSError: The file does not read.
        """
        self._path = path
        self._topics: dict[int, Channel] = {}
        found: dict[int, _Found] = {}
        with path.open('rb') as file:
            pages = Pages(file)
            for page in range(1, pages.count + 1):
                for cell, row in pages.rows(page):
                    self._take(row, page, cell, found)
            if any(uses > 1 for uses in pages.uses.values()):
                found = {number: row for number, row in found.items() if _is_alone(pages, row)}
        self.lost = sum(row.topic not in self._topics for row in found.values())
        """Messages of topics whose names are lost."""
        self._found = sorted(row for row in found.values() if row.topic in self._topics)

    def _take(self, row: Row, page: int, cell: int, found: dict[int, _Found]) -> None:
        """Take in a row of the tables ``messages`` and ``topics``, which only they look like."""
        match row.values:
            case [None, int(topic), int(time_ns), bytes()]:
                found[row.number] = _Found(time_ns, row.number, topic, page, cell)
            case [None, str(name), str(msgtype), str(), *_] if name.startswith('/') and '/msg/' in msgtype:
                self._topics[row.number] = Channel(name, msgtype)

    @property
    def counts(self) -> dict[Channel, int]:
        """Messages by topic."""
        counts = dict.fromkeys(self._topics.values(), 0)
        for row in self._found:
            counts[self._topics[row.topic]] += 1
        return counts

    @property
    def span(self) -> tuple[int, int]:
        """Earliest and latest bag time, in nanoseconds; of no messages, zeros."""
        return (self._found[0].time_ns, self._found[-1].time_ns) if self._found else (0, 0)

    def messages(self, topics: Collection[Channel]) -> Iterator[tuple[Channel, int, bytes]]:
        """Read messages in the order of their bag time.

        Args:
            topics: The topics to read.

        Yields:
            Topic, bag time in nanoseconds, CDR bytes.

        Raises:
            DamageError: The file is no longer what it was.
            OSError: It does not read.
        """
        with self._path.open('rb') as file:
            pages = Pages(file)
            for found in self._found:
                if (channel := self._topics[found.topic]) in topics:
                    data = pages.row(found.page, found.cell).values[3]
                    try:
                        yield channel, found.time_ns, expand_message(cast('bytes', data))
                    except DamageError:  # compressed by itself and damaged
                        continue


def _is_alone(pages: Pages, found: _Found) -> bool:
    """Say whether no other row goes on in the same pages, so that both can't be right."""
    own = Pages(pages.file)
    own.row(found.page, found.cell)
    return all(pages.uses[page] == 1 for page in own.uses)
