"""The papers' tables: complete, rendered from made-up results, and refused where they are malformed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from evaluation_parts import clip, config, options

from experiments.paper_figures import figure_of, runs_by_name
from experiments.paper_tables import FILE, PaperTable, read_tables, tables_text
from experiments.paper_tables import main as print_tables
from vss_ros.cli.main import main
from vss_ros.errors import VssError
from vss_ros.evaluation.sweep.outputs import Evaluation, write_evaluation
from vss_ros.evaluation.sweep.sweep import Sweep, read_sweep, with_references
from vss_ros.resources import resource

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = resource('config', 'experiments', 'paper_tables.yaml')
NAMED = {
    ('Low-latency', 'Table 1'), ('Low-latency', 'Table 2'), ('Low-latency', 'Table 3'),
    ('Low-latency', 'Figure 5'), ('Holistic attention', 'Table 8'), ('GSVNet', 'Table 1'),
    ('GSVNet', 'Table 4'), ('TWNet', 'Table 3'), ('TWNet', 'Table 8'), ('Distortion-aware', 'Table III'),
}  # fmt: skip
TABLE: dict[str, Any] = {
    'paper': 'A Paper (2018)',
    'number': 'Table 1',
    'title': 'all of it',
    'data': 'Cityscapes val',
    'columns': {'mIoU': 'miou', 'ms': 'mean_ms', 'size': None},
    'rows': [
        {'name': 'theirs', 'paper': [1.5, None, 'full'], 'not_built': 'nobody asked'},
        {'name': 'fast', 'paper': [75.26, 151, 0.5], 'run': 'fast', 'note': 'by DIS'},
        {'name': 'ratio', 'paper': [None, 2, None], 'run': 'fast', 'figures': {'ms': 'whole:fps / fps'}},
        {'name': 'late', 'paper': [2, 3, 4], 'run': 'gone'},
        {'name': 'own', 'run': 'whole', 'figures': {'ms': None}},
    ],
}  # fmt: skip
NAMES = {'fast', 'whole', 'gone'}


def shipped() -> tuple[list[Any], dict[str, PaperTable]]:
    found = with_references(read_sweep(SHIPPED, config(interval=0)))
    return found, read_tables(SHIPPED, {entry.name for entry in found})


def written(tmp_path: Path, tables: Any) -> Path:
    file = tmp_path / 'sweep.yaml'
    file.write_text(yaml.safe_dump({'tables': tables}))
    return file


def outcome(name: str, ms: list[float], *, truth: str = 'masks', **more: Any) -> tuple[Any, Any]:
    """Return result and timing of one input of which every first frame begins the stream."""
    frames = len(ms)
    reasons = ['first', *['score'] * (frames - 1)]
    result = {
        'name': name,
        'config': {'segmenter': {'model': 'light', 'propagation': 'reuse'}},
        'inputs': [{'path': 'drive', 'frames': frames, 'failed': False}],
        'truth': truth,
        'key_frame_rate': 0.25,
        'gflops_nonkey': 3.0,
        'decisions': [{'input': 0, 'reason': reason} for reason in reasons],
        ('agreement' if truth == 'per_frame' else 'miou'): 0.61234,
    } | more
    timing = {
        'latency_steady_ms': {'p50': 9.0, 'max': max(ms[1:])},
        'latency_nonkey_ms': {'p50': 4.0},
        'parts_ms': {'low': {'p50': 1.5}, 'high': {'p50': 2.5}},
        'machine': {'cpu': 'a CPU', 'threads': 2},
        'inputs': [{'path': 'drive', 'latency_ms': ms}],
    }
    return result, timing


def evaluation(*outcomes: tuple[Any, Any]) -> Evaluation:
    results, timings = zip(*outcomes, strict=True)
    return Evaluation(list(results), list(timings), [{'name': 'gone', 'config': {}, 'reason': 'no weights'}])


def cells(text: str, row: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f'| {row} '))
    return [cell.strip() for cell in line.strip('|').split('|')][1:]


def test_every_table_that_was_asked_for_is_there() -> None:
    _, tables = shipped()
    assert {(table.paper.partition(' (')[0], table.number) for table in tables.values()} == NAMED
    for table in tables.values():
        assert all(row.paper or row.run for row in table.rows)
        # Figure 5 is published as curves alone.
        assert any(row.paper for row in table.rows) == (table.number != 'Figure 5')
        assert any(row.run for row in table.rows)


def test_configurations_are_there_for_a_table() -> None:
    found, tables = shipped()
    text = SHIPPED.read_text()
    for entry in found:
        if not entry.name.startswith('per_frame'):
            assert text.count(entry.name) > 1, f'{entry.name} stands in no table'
    assert {entry.segmenter.track for entry in found if entry.name == 'low_latency'} == {'fast_slow'}
    # Accuracy at a distance needs to be measured where it is shown.
    measured = {entry.name for entry in found if entry.pda}
    for row in (*tables['gsvnet_4'].rows, *tables['distortion_aware_3'].rows):
        assert not row.run or row.run in measured


def test_published_figures_are_the_papers() -> None:
    """A few by hand, from each paper's text."""
    _, tables = shipped()
    rows: dict[tuple[str, str], tuple[Any, ...]] = {
        (name, row.name): row.paper for name, table in tables.items() for row in table.rows
    }
    assert rows['low_latency_1', 'AFP + AKS + LLS'] == (75.89, 119, 119)
    assert rows['low_latency_3', 'Higher part of network S_h'] == (299, 83.1)
    assert rows['lernet_8', 'Video frames prediction (K=5)'] == (7.6, 131, 60.6)
    assert rows['gsvnet_1', 'Ours-SN-R18 (l=4)'] == (0.75, 71.8, 142)
    assert rows['gsvnet_4', 'without intra features'] == (74.4, 72.1, 69.1, 67.4, 65.1)
    assert rows['twnet_3', 'layer 2: FT + CFR + RGA'] == (69.5, 84.9, '+0.0029')
    assert rows['twnet_8', 'MobileNetV1: Layer1'] == (71.6, 61.8, 1.74)
    assert rows['distortion_aware_3', 'DDS + DGFL + DGFC'] == (77.33, 75.37, 72.99, 75.19)


def test_rows_stand_beside_each_other(tmp_path: Path) -> None:
    tables = read_tables(written(tmp_path, {'one': TABLE}), NAMES)
    found = evaluation(outcome('whole', [500, 40, 60]), outcome('fast', [400, 10, 30]))
    text = tables_text(tables, found, tmp_path)
    assert (tmp_path / FILE).read_text() == text
    assert 'Here: 3 frames of drive; accuracy against true masks of the inputs; times on a CPU' in text
    assert '## A Paper (2018), Table 1: all of it' in text
    assert cells(text, 'theirs') == ['1.5', '-', '-', '-', 'full', 'not built [1]']
    assert cells(text, 'fast') == ['75.26', '61.2', '151', '20.0', '0.5', 'fast (light) [2]']
    assert cells(text, 'ratio') == ['-', '61.2', '2', '0.400', '-', 'fast (light)']
    assert cells(text, 'late') == ['2', '-', '3', '-', '4', 'gone: refused [3]']
    assert cells(text, 'own') == ['-', '61.2', '-', '-', '-', 'whole (light)']
    assert '[1] nobody asked' in text
    assert '[3] no weights' in text
    widths = {len(line) for line in text.splitlines() if line.startswith('|')}
    assert len(widths) == 1


def test_agreement_is_never_called_miou(tmp_path: Path) -> None:
    tables = read_tables(written(tmp_path, {'one': TABLE}), NAMES)
    text = tables_text(tables, evaluation(outcome('fast', [9, 9], truth='per_frame')))
    assert cells(text, 'fast')[:4] == ['75.26', '61.2 (a)', '151', '9.00']
    assert 'which is no mIoU' in text


@pytest.mark.parametrize(
    ('figure', 'expected'),
    [
        ('fps', 100.0),
        ('worst_ms', 15.0),
        ('nonkey_ms', 4.0),
        ('nonkey_fps', 250.0),
        ('nonkey_gmacs', 1.5),
        ('key_frames', 25.0),
        ('part_ms@low + part_ms@high', 4.0),
        ('part_ms@low % of mean_ms', 15.0),
        ('fps / other:fps', 2.0),
        ('pda@2', 50.0),
        ('pda_mean@2', 55.0),
        ('average@3', 60.0),
        ('minimum@3', 50.0),
        ('average@4', None),
        ('part_ms@motion', None),
        ('gone:fps', None),
        ('', None),
    ],
)
def test_figures(figure: str, expected: float | None) -> None:
    runs = runs_by_name(
        evaluation(
            outcome('mine', [99, 5, 15], pda={'0': 0.7, '1': 0.6, '2': 0.5}), outcome('other', [1, 20, 20])
        )
    )
    found = figure_of(figure, 'mine', runs)
    assert (None if found is None else found.value) == (None if expected is None else pytest.approx(expected))


def changed(**values: Any) -> dict[str, Any]:
    return {'one': TABLE | values}


def with_row(**values: Any) -> dict[str, Any]:
    return changed(rows=[{'name': 'r', 'paper': [1, 2, 3], 'run': 'fast'} | values])


@pytest.mark.parametrize(
    ('tables', 'message'),
    [
        ([TABLE], 'a name for each table'),
        ({'one': None}, 'table one: expected names with values'),
        (changed(row=[]), 'table one: .*got row'),
        (changed(title=''), 'expected title too'),
        (changed(columns={'mIoU': 'mious'}, rows=[{'name': 'r', 'run': 'fast'}]), "got 'mious'"),
        (changed(rows='many'), 'list of rows'),
        (changed(rows=['many']), "a row: expected names with values, got 'many'"),
        (changed(rows=[{'name': 'r', 'not_built': 'no'}]), 'published figures or a run'),
        (with_row(run='slow'), "row r: expected one of the sweep's configurations, got slow"),
        (with_row(not_built='but it is'), 'either run, a configuration, or not_built'),
        (with_row(paper=[1, 2]), 'for mIoU, ms, size, got 2'),
        (with_row(paper=[1, 2, [3]]), 'list of published figures'),
        (with_row(colour='red'), 'got colour'),
        (with_row(figures={'fps': 'fps'}), 'expected figures for mIoU, ms, size, got fps'),
        (with_row(figures={'ms': 'slow:mean_ms'}), 'got slow'),
        (with_row(figures={'ms': 'part_ms'}), 'expected part_ms@part'),
        (with_row(figures={'ms': 'pda@far'}), 'expected pda@frames'),
        (with_row(figures={'ms': 'fps@5'}), "expected fps, got 'fps@5'"),
    ],
)
def test_malformed_tables_are_refused(tables: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(VssError, match=message) as error:
        read_tables(written(tmp_path, tables), NAMES)
    assert 'sweep.yaml' in str(error.value)


def test_no_tables(tmp_path: Path) -> None:
    assert read_tables(None, NAMES) == read_tables(written(tmp_path, None), NAMES) == {}
    assert Sweep(()).names == set()


def test_the_tables_are_read_from_the_results_of_a_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / 'sweep.yaml'
    runs = {'whole': {'propagation': 'none'}, 'fast': {'propagation': 'reuse', 'scheduler': 'fixed_interval'}}
    gone = {'model': 'mobilenet_fpn', 'propagation': 'spatially_variant_conv'}
    sweep = {'configurations': runs | {'gone': gone}, 'tables': {'one': TABLE}}
    file.write_text(yaml.safe_dump(sweep))
    images = clip(tmp_path / 'clip', 3)
    target = tmp_path / 'out'
    assert main(['evaluate', str(images), '-o', str(target), '--sweep', str(file), *options()]) == 0
    capsys.readouterr()
    assert print_tables([str(target), '--tables', str(file)]) == 0
    text = (target / FILE).read_text()
    assert text == capsys.readouterr().out
    miou = float(cells(text, 'fast')[1])
    assert 20 < miou < 100
    assert 'has no weights for model' in text
    # The shipped tables name configurations that this sweep does not have.
    assert print_tables([str(target)]) == 2
    assert "expected one of the sweep's configurations" in capsys.readouterr().err


def test_without_results_or_tables_there_is_nothing_to_print(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert print_tables([str(tmp_path)]) == 2
    assert 'expected the results of `vss evaluate -o DIR`' in capsys.readouterr().err
    write_evaluation(evaluation(outcome('fast', [9, 9], decisions=[])), tmp_path)
    assert print_tables([str(tmp_path), '--tables', str(written(tmp_path, None))]) == 2
    assert 'expected a section tables' in capsys.readouterr().err
