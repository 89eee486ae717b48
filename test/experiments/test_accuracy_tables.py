"""What the tables are made of is checked before an hour of measuring."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from data_trees import write_png

from experiments.accuracy_page import Row, curves_of, markdown, page, picture
from experiments.accuracy_tables import FURTHEST, HEADINGS, TABLES, main

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
        {'deviation': [{'scheduler': 'x', 'rank correlation': 0.5}], 'varied_schedulers': []},
        HEADINGS,
        'command',
    )
    assert 'rank correlation' in text
    assert 'drives' not in text


def test_other_tables_of_a_page_stay_as_they_are() -> None:
    rows = {name: [{'scheduler': name, 'mIoU': 1.0}, {'scheduler': 'x', 'mIoU': 2.0}] for name in TABLES}
    whole = page(rows, HEADINGS, 'command')
    changed = page({'corrections': [{'scheduler': 'corrections', 'mIoU': 3.0}]}, HEADINGS, 'command', whole)
    assert changed.count('\n## ') == len(TABLES)
    assert changed.replace('| corrections | 3.0 |', '| corrections | 1.0 |\n| x | 2.0 |') == whole


def test_an_update_needs_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path), '--update', '-o', str(tmp_path / 'page.md')])
    assert '--update needs -o FILE' in capsys.readouterr().err


def curves(miou: float) -> list[Row]:
    """Return the PDA curves of two propagations on two models."""
    models, moves = ('one', 'two'), ('reuse', 'flow_warp')
    return [{'model': m, 'propagation': p, 'at 1': miou, 'at 3': miou - 1.0} for m in models for p in moves]


def test_curves_of_other_propagations_stay_as_they_are() -> None:
    whole = page({'propagation': curves(70.0), 'corrections': curves(50.0)}, HEADINGS, 'command')
    new = [row for row in curves(71.0) if row['propagation'] == 'reuse']
    changed = page({'propagation': new}, HEADINGS, 'command', whole, ['reuse'])
    for model in ('one', 'two'):
        whole = whole.replace(f'| {model} | reuse | 70.0 | 69.0 |', f'| {model} | reuse | 71.0 | 70.0 |')
    assert changed == whole


def test_curves_measured_elsewhere_say_so() -> None:
    whole = page({'propagation': curves(70.0)}, HEADINGS, 'command').replace(' CPU, ', ' GPU, ')
    changed = page({'propagation': curves(71.0)[:1]}, HEADINGS, 'command', whole, ['reuse'])
    assert changed.count(' GPU, ') == 1
    assert '; reuse: PyTorch ' in changed


def test_the_picture_has_the_first_models_curves() -> None:
    tables = {
        'propagation': curves(70.0),
        'schedulers': [{'scheduler': 'fixed', 'every 2': 72.0, 'every 10': '65.5 (at rate 0.120)'}],
    }
    assert curves_of(markdown(tables['propagation'])) == {
        p: {1: 70.0, 3: 69.0} for p in ('reuse', 'flow_warp')
    }
    assert curves_of(markdown(tables['schedulers'])) == {'fixed': {2: 72.0, 10: 65.5}}
    whole, alone = (
        picture(page(some, HEADINGS, 'command'), HEADINGS)
        for some in (tables, {'schedulers': tables['schedulers']})
    )
    widths = [int.from_bytes(png[16:20], 'big') for png in (whole, alone)]
    assert whole.startswith(b'\x89PNG')
    assert widths[0] == 2 * widths[1]


def test_a_picture_needs_curves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path), '--only', 'deviation', '--plot', str(tmp_path / 'curves.png')])
    assert '--plot needs one of the tables' in capsys.readouterr().err


def test_a_page_of_another_form_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / 'page.md').write_text('# Accuracy\n\n## Curves\n\n| a | b |\n')
    with pytest.raises(SystemExit, match='other sections; leave out --update'):
        main([str(tmp_path), '--only', 'propagation', '--update', '-o', str(tmp_path / 'page.md')])
