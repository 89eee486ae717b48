"""Decisions as CSV, read back."""

from __future__ import annotations

import csv
from dataclasses import fields
from math import inf, nan
from typing import TYPE_CHECKING

import pytest

from vss_ros.evaluation.export import write_rows
from vss_ros.evaluation.replay.decisions import write_csv
from vss_ros.evaluation.rows import DecisionRow

if TYPE_CHECKING:
    from pathlib import Path


def test_decisions_are_read_back(tmp_path: Path) -> None:
    rows = [
        DecisionRow(0, 10**18 + 1, True, 'first', nan, nan, 10**18 + 1, 0, 'full', True, 0.25),
        DecisionRow(1, 10**18 + 7, False, 'deviation', 0.125, 0.3, 10**18 + 1, 1, 'propagated', False, 0.5),
    ]
    path = tmp_path / 'new' / 'decisions.csv'
    write_csv(rows, path)
    with path.open(newline='') as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == [entry.name for entry in fields(DecisionRow)]
    assert [int(row['stamp_ns']) for row in read] == [10**18 + 1, 10**18 + 7]
    assert [row['predicted_deviation'] for row in read] == ['', '0.125']
    assert [row['is_key_frame'] for row in read] == ['True', 'False']
    write_csv([], path)
    assert path.read_text().splitlines() == [','.join(read[0])]


def test_what_has_no_value_is_empty_and_a_broken_row_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / 'rows.csv'
    write_rows(['a', 'b'], [{'a': None, 'b': inf, 'c': 3}, {'a': 'x, "y"', 'b': -1.5}], path)
    text = path.read_text()
    assert text.splitlines() == ['a,b', ',', '"x, ""y""",-1.5']
    with pytest.raises(KeyError):
        write_rows(['a'], [{'a': 1}, {}], path)
    assert path.read_text() == text
