"""What the tables are made of is checked before an hour of measuring."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from data_trees import write_png

from vss_ros.evaluation.accuracy_tables import FURTHEST, TABLES, main, page

if TYPE_CHECKING:
    from pathlib import Path


def write_drives(folder: Path, lengths: dict[str, int]) -> None:
    for drive, length in lengths.items():
        for number in range(length):
            write_png(folder / f'images/{drive}_{number:03}.png', np.zeros((32, 32, 3), np.uint8))
            write_png(folder / f'labels/{drive}_{number:03}.png', np.zeros((32, 32), np.uint8))


def test_drives_too_short_for_the_furthest_key_frame_are_named(tmp_path: Path) -> None:
    write_drives(tmp_path / 'drives', {'long': FURTHEST + 1, 'short': FURTHEST})
    with pytest.raises(SystemExit, match=rf'more than {FURTHEST} frames.*short \({FURTHEST}\)') as told:
        main([str(tmp_path / 'drives'), '--split', 'images', '--drives', str(tmp_path / 'drives')])
    assert 'long (' not in str(told.value)


def test_a_table_of_drives_needs_drives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path), '--only', 'varied_schedulers', '-o', str(tmp_path / 'page.md')])
    assert 'varied_schedulers needs --drives' in capsys.readouterr().err
    assert not (tmp_path / 'page.md').exists()


def test_a_page_leaves_out_tables_without_rows() -> None:
    text = page(
        {'deviation': [{'scheduler': 'x', 'rank correlation': 0.5}], 'varied_schedulers': []}, 'command'
    )
    assert 'rank correlation' in text
    assert 'drives' not in text


def test_other_tables_of_a_page_stay_as_they_are() -> None:
    rows = {name: [{'scheduler': name, 'mIoU': 1.0}, {'scheduler': 'x', 'mIoU': 2.0}] for name in TABLES}
    whole = page(rows, 'command')
    changed = page({'corrections': [{'scheduler': 'corrections', 'mIoU': 3.0}]}, 'command', whole)
    assert changed.count('\n## ') == len(TABLES)
    assert changed.replace('| corrections | 3.0 |', '| corrections | 1.0 |\n| x | 2.0 |') == whole


def test_an_update_needs_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path), '--update', '-o', str(tmp_path / 'page.md')])
    assert '--update needs -o FILE' in capsys.readouterr().err
