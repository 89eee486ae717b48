"""Files and folders that are whole or not there, CSV and JSON read back."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import fields
from math import inf, nan
from pathlib import Path

import pytest

from vss_ros import files
from vss_ros.errors import VssError
from vss_ros.evaluation.replay.decisions import write_decisions
from vss_ros.evaluation.rows import DecisionRow
from vss_ros.schema import read_yaml


def test_decisions_are_read_back(tmp_path: Path) -> None:
    rows = [
        DecisionRow(0, 10**18 + 1, True, 'first', nan, nan, 10**18 + 1, 0, 'full', True, 0.25),
        DecisionRow(1, 10**18 + 7, False, 'deviation', 0.125, 0.3, 10**18 + 1, 1, 'propagated', False, 0.5),
    ]
    write_decisions(rows, tmp_path / 'new', 'title')
    with (tmp_path / 'new' / 'decisions.csv').open(newline='') as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == [entry.name for entry in fields(DecisionRow)]
    assert [int(row['stamp_ns']) for row in read] == [10**18 + 1, 10**18 + 7]
    assert [row['predicted_deviation'] for row in read] == ['', '0.125']
    assert [row['is_key_frame'] for row in read] == ['True', 'False']
    assert (tmp_path / 'new' / 'timeline.png').stat().st_size > 10_000


def test_what_has_no_value_is_empty_and_a_broken_row_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / 'rows.csv'
    files.write_csv(path, ['a', 'b'], [{'a': None, 'b': inf, 'c': 3}, {'a': 'x, "y"', 'b': -1.5}])
    text = path.read_text()
    assert text.splitlines() == ['a,b', ',', '"x, ""y""",-1.5']
    with pytest.raises(KeyError):
        files.write_csv(path, ['a'], [{'a': 1}, {}])
    assert path.read_text() == text


def test_json_has_null_for_what_it_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files.write_json(tmp_path / 'a.json', {1: [nan, 0.5], 'ä': inf})
    assert json.loads((tmp_path / 'a.json').read_text(encoding='utf-8')) == {'1': [None, 0.5], 'ä': None}
    files.write_json(tmp_path / 's.json', {'caf\udce9': [1, {2: nan}]}, summed=True)
    assert files.read_summed(tmp_path / 's.json') == {'caf\udce9': [1, {'2': None}]}
    files.write_json(None, {})
    files.write_json(Path('-'), {'a': 1})
    assert json.loads(capsys.readouterr().out) == {'a': 1}


def fail_within(folder: Path) -> None:
    """Make half a folder."""
    folder.mkdir()
    (folder / 'half').touch()
    raise KeyError


def test_a_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    target = tmp_path / 'out'
    with pytest.raises(KeyError), files.whole_folder(target) as folder:
        fail_within(folder)
    assert not list(tmp_path.iterdir())
    for content in ('old', 'new'):
        with files.whole_folder(target) as folder:
            assert folder.name == 'out'
            folder.mkdir()
            (folder / content).touch()
        assert [file.name for file in target.iterdir()] == [content], 'the former one is replaced'
    (tmp_path / 'file').touch()
    (tmp_path / 'device').symlink_to('/dev/null')
    for name in ('file', 'device'):
        with pytest.raises(VssError, match='a name that is free'), files.whole_folder(tmp_path / name):
            pass
        (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError), files.whole_folder(target) as folder:
        (folder / 'file').touch()
    assert [str(file.relative_to(tmp_path)) for file in tmp_path.rglob('*')] == ['out', 'out/new']


def test_a_device_or_pipe_is_written_to_and_stays_what_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    files.write_json(pipe, {'a': 1}, indent=None)
    assert os.read(reader, 100) == b'{"a": 1}\n'
    os.close(reader)
    with pytest.raises(OSError, match='No such device'):
        files.write_text(pipe, 'nobody reads it')
    assert pipe.is_fifo()
    with pytest.raises(OSError, match='Is a directory'):
        files.write_text(tmp_path, 'text')
    full = tmp_path / 'full'
    full.symlink_to('/dev/full')  # were it replaced, then only the link
    with pytest.raises(VssError, match='full cannot be written: No space left'):
        files.write_text(full, 'text')
    assert full.is_symlink()


def test_what_never_ends_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'pipe.yaml')
    (tmp_path / 'zero.yaml').symlink_to('/dev/zero')
    (tmp_path / 'folder.yaml').mkdir()
    for path in tmp_path.iterdir():
        with pytest.raises(OSError, match='expected a file'):
            files.read_regular(path)
        with pytest.raises(VssError, match='expected a readable recipe file'):
            read_yaml(path, 'recipe')
    (tmp_path / 'long').write_bytes(b'12345')
    assert files.read_regular(tmp_path / 'long', 5, 2) == b'12'
    with pytest.raises(OSError, match='5 bytes, expected at most 4'):
        files.read_regular(tmp_path / 'long', 4)


def test_what_a_killed_process_left_is_taken_away_by_the_next_but_not_what_is_being_written(
    tmp_path: Path,
) -> None:
    program = (
        'import os, signal\nfrom pathlib import Path\nfrom vss_ros import files\n'
        f'place = Path({str(tmp_path)!r})\n'
        'with files.whole_file(place / "file") as a, files.whole_folder(place / "folder") as b:\n'
        '    a.write_text("half"); b.mkdir(); (b / "half").touch()\n'
        '    os.kill(os.getpid(), signal.SIGKILL)\n'
    )
    assert subprocess.run([sys.executable, '-c', program], check=False).returncode == -signal.SIGKILL
    assert len([*tmp_path.iterdir()]) == 2
    (tmp_path / '.users.settings').mkdir()
    with files.whole_folder(tmp_path / 'out') as folder:
        folder.mkdir()
        assert {path.name for path in tmp_path.iterdir()} == {'.users.settings', folder.parent.name}
        program = (
            f'from vss_ros import files, pathlib; files.write_text(pathlib.Path({str(tmp_path)!r}) / "b", "")'
        )
        subprocess.run([sys.executable, '-c', program.replace(', pathlib', '; import pathlib')], check=True)
    assert {path.name for path in tmp_path.iterdir()} == {'.users.settings', 'b', 'out'}


def test_a_device_or_pipe_is_not_replaced_by_a_folder(tmp_path: Path) -> None:
    """As root, `-o /dev/null --overwrite` put a folder in its place, and the machine was the worse for it."""
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    with pytest.raises(VssError, match='expected a folder'), files.whole_folder(pipe) as folder:
        folder.mkdir()
    assert pipe.is_fifo()
