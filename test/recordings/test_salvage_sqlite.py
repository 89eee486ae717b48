"""Damaged sqlite3 bags: every row that can be had, at least those that SQLite itself still finds."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest
from bag_parts import TOPICS, Recorded, damage, images, recovered, write_bag

from vss_ros.cli.main import main
from vss_ros.errors import VssError
from vss_ros.recordings.checked_bag import open_checked

if TYPE_CHECKING:
    from pathlib import Path

# Rows of many overflow pages, of one, and of none.
MESSAGES = [*images(8, (90, 100)), *images(8, (20, 64), 200), *images(30, (8, 8), 50)]
MESSAGES = [(topic, time_ns + i, data) for i, (topic, time_ns, data) in enumerate(MESSAGES)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the file of a whole bag, bare."""
    return write_bag(tmp_path / 'bag', 'sqlite3', MESSAGES).joinpath('bag.db3').rename(tmp_path / 'a.db3')


def by_sqlite(path: Path) -> set[Recorded]:
    """Read row by row what SQLite finds, as far as its tree is still there."""
    found = set()
    with closing(sqlite3.connect(path)) as database:
        database.execute('PRAGMA writable_schema = ON')  # then it opens a file that is too short
        for number in range(1, len(MESSAGES) + 1):
            try:
                query = 'SELECT topic_id, timestamp, data FROM messages WHERE id = ?'
                found |= {(TOPICS[t - 1], time_ns, d) for t, time_ns, d in database.execute(query, [number])}
            except sqlite3.DatabaseError:
                continue
    return found


def test_cuts(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blob, both = file.read_bytes(), 0
    assert recovered(file) == by_sqlite(file) == set(MESSAGES)
    for size in np.random.default_rng(0).integers(len(blob), size=60).tolist():
        file.write_bytes(blob[:size])
        status, found = main(['bag', 'info', str(file)]), recovered(file)
        assert 'Traceback' not in (errors := capsys.readouterr().err)
        assert 'a.db3: ' in errors
        assert status == (1 if found else 2), size
        # SQLite fills up with zeros what is missing at the end of the file.
        assert by_sqlite(file) & set(MESSAGES) <= found <= set(MESSAGES), size
        both += len(found) > 10
    assert both > 20


def test_flips_and_holes(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Without checksums a flip within a picture shows nowhere; whatever shows comes with a reason.
    blob, noticed = file.read_bytes(), 0
    for seed in range(60):
        file.write_bytes(damage(np.random.default_rng(seed), blob).blob)
        status, found = main(['bag', 'info', str(file)]), recovered(file)
        errors = capsys.readouterr().err
        assert 'Traceback' not in errors
        assert (status != 0) == ('a.db3: ' in errors)
        assert status == 2 or found
        noticed += status != 0
    assert noticed > 20


def test_a_page_of_zeros_costs_its_own_rows_only(file: Path) -> None:
    blob = file.read_bytes()
    for page in range(1, len(blob) // 4096):
        file.write_bytes(blob[: page * 4096] + bytes(4096) + blob[(page + 1) * 4096 :])
        found = recovered(file)
        if found:  # else it was the page that names the topics
            assert by_sqlite(file) & set(MESSAGES) <= found
            assert len(found - set(MESSAGES)) <= 1  # a message whose last page it is may end in zeros
            assert len(found) >= len(MESSAGES) - 40


def test_a_recorder_that_was_killed(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left = tmp_path / 'left'
    left.mkdir()
    with closing(sqlite3.connect(file)) as database:
        database.execute('PRAGMA journal_mode = WAL')
        database.execute('DELETE FROM messages WHERE id > 5')
        database.commit()
        for suffix in ('', '-wal'):
            shutil.copy(f'{file}{suffix}', left / f'a_0.db3{suffix}')
    before = {path.name: path.read_bytes() for path in left.iterdir()}
    assert main(['bag', 'info', str(left)]) == 1
    assert 'did not finish' in capsys.readouterr().err
    assert recovered(left) == set(MESSAGES[:5])
    assert {path.name: path.read_bytes() for path in left.iterdir()} == before


def test_rows_by_topic_and_in_the_order_of_time(file: Path) -> None:
    blob = file.read_bytes()
    for content in (blob, bytes(4096) + blob[4096:]):  # the latter by the pages that hold rows alone
        file.write_bytes(content)
        with open_checked(file) as bag:
            assert (bag.partial is None) == (content == blob)
            (masks,) = [connection for connection in bag.connections if connection.topic == TOPICS[1]]
            read = [time_ns for _, time_ns, _ in bag.messages([masks])]
            assert masks.msgcount == len(read) == len(MESSAGES) // 2
        assert read == sorted(time_ns for topic, time_ns, _ in MESSAGES if topic == TOPICS[1])


def test_messages_without_topics_are_counted(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute('DELETE FROM topics WHERE id = 2')
        database.commit()
    file.write_bytes(bytes(4096) + file.read_bytes()[4096:])
    with open_checked(file) as bag:
        assert f'{len(MESSAGES) // 2} messages do not decompress, or belong to topics whose names' in (
            bag.partial or ''
        )
        assert bag.message_count == len(MESSAGES) // 2


def test_nonsense_is_no_row(tmp_path: Path) -> None:
    path = tmp_path / 'a.db3'
    for seed in range(20):
        leaves = [b'\x0d' + np.random.default_rng(seed + n).bytes(4095) for n in range(3)]
        path.write_bytes(b'SQLite format 3\0\x10\0'.ljust(4096, b'\0') + b''.join(leaves))
        with pytest.raises(VssError, match='no readable message'), open_checked(path):
            pass
