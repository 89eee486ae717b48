"""What the tables are made of is checked before an hour of measuring."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from data_trees import write_png

from vss_ros.evaluation.accuracy_tables import FURTHEST, main, page

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
