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
from vss_ros.recordings.salvage.checked_bag import open_checked
from vss_ros.recordings.salvage.compression import DamageError
from vss_ros.recordings.salvage.pages import Pages
from vss_ros.recordings.salvage.sqlite import SqliteRest
from vss_ros.recordings.salvage.summary import Channel

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


def test_rows_that_go_on_in_the_same_page_are_both_given_up(file: Path) -> None:
    first, second = (n for n, (_, _, data) in enumerate(MESSAGES, 1) if len(data) > 20_000 and n < 4)
    one, other, blob = chain_of(file, first), chain_of(file, second), bytearray(file.read_bytes())
    assert len(one) > 2
    link = (other[-2] - 1) * 4096
    blob[link : link + 4] = one[-1].to_bytes(4, 'big')
    file.write_bytes(blob)
    assert recovered(file) == set(MESSAGES) - {MESSAGES[first - 1], MESSAGES[second - 1]}


def chain_of(file: Path, number: int) -> list[int]:
    """Return the overflow pages of a message."""
    with file.open('rb') as stream:
        count = Pages(stream).count
        for page in range(1, count + 1):
            cells = list(Pages(stream).rows(page))
            for cell, row in cells:
                if row.number == number and len(row.values) == 4 and isinstance(row.values[3], bytes):
                    pages = Pages(stream)
                    pages.row(page, cell)
                    return list(pages.uses)
    raise AssertionError


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
    rest = SqliteRest(file)
    masks = Channel(TOPICS[1], 'sensor_msgs/msg/Image')
    read = list(rest.messages([masks]))
    assert [time_ns for _, time_ns, _ in read] == sorted(t for topic, t, _ in MESSAGES if topic == TOPICS[1])
    assert rest.counts[masks] == len(read) == len(MESSAGES) // 2
    assert rest.lost == 0


def test_nonsense_is_no_row(tmp_path: Path) -> None:
    path = tmp_path / 'a.db3'
    for seed in range(20):
        path.write_bytes(b'SQLite format 3\0\x10\0' + np.random.default_rng(seed).bytes(4096 * 3))
        with path.open('rb') as stream:
            pages = Pages(stream)
            assert all(row.values for page in range(1, 4) for _, row in pages.rows(page))
            with pytest.raises(DamageError):
                pages.row(3, 5000)
    with open_checked(write_bag(tmp_path / 'bag', 'sqlite3', MESSAGES[:2])) as bag:
        assert bag.partial is None
