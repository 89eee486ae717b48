"""README's plot: from measured results to points, with what the papers promise beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from experiments.latency_plot import Point, main, points_of, promises
from experiments.paper_tables import read_tables
from vss_ros.evaluation.sweep.configuration import EvaluationConfig
from vss_ros.evaluation.sweep.outputs import Evaluation, write_evaluation
from vss_ros.evaluation.sweep.sweep import read_sweep
from vss_ros.resources import resource

if TYPE_CHECKING:
    from pathlib import Path

SWEEP = resource('config', 'experiments', 'plot.yaml')
TABLES = resource('config', 'experiments', 'paper_tables.yaml')


def evaluation() -> Evaluation:
    """Return made-up results of the shipped sweep: each configuration a point more and ten ms less."""
    configurations = read_sweep(SWEEP, EvaluationConfig())
    results: list[dict[str, Any]] = [
        {
            'name': c.name, 'config': c.to_dict(), 'miou': 0.5 + number / 100, 'live': True, 'frames': 101,
            'frame_interval_ms': 66.667, 'decisions': [], 'inputs': [],
        }
        for number, c in enumerate(configurations)
    ]  # fmt: skip
    machine = {'cpu': 'AMD EPYC', 'threads': 1, 'date': '2026-11-30'}
    times: list[dict[str, Any]] = [
        {
            'name': c.name,
            'latency_steady_ms': {'max': 200.0, 'p50': 1.0, 'p99': 200.0 - 10 * number},
            'machine': machine,
            'inputs': [],
        }
        for number, c in enumerate(configurations)
    ]
    return Evaluation(results, times, [])


def test_points_are_what_was_measured() -> None:
    found = evaluation()
    points = points_of(found)
    names = [result['name'] for result in found.results if result['name'] != 'auto']
    assert [point.name for point in points] == names
    assert points[0] == Point('PyTorch f32', 200.0, 50.0, 'torch f32')
    assert [point.name for point in points if point.whole] == names[:6]
    found.results[1]['miou'] = None
    found.timings[2]['latency_steady_ms'] = {}
    assert [point.name for point in points_of(found)] == [names[0], *names[3:]]


def test_promises_are_the_papers_ratios_of_the_network_in_pytorch() -> None:
    points = [Point('a', 100.0, 74.0, 'torch f32'), Point('b', 150.0, 73.0, 'onnxruntime f32')]
    points += [Point(name, 30.0, 70.0) for name in ('GSVNet', 'low-latency')]
    papers = yaml.safe_load(SWEEP.read_text())['tables']
    found = {point.name: point for point in promises(points, papers)}
    assert set(found) == {'GSVNet', 'low-latency'}  # of systems that were not measured nothing is said
    assert found['low-latency'].ms == pytest.approx(100 * 119 / 360)
    assert found['low-latency'].miou == pytest.approx(74 - 4.31)
    assert found['GSVNet'].ms == pytest.approx(100 * 63.2 / 142)
    assert promises(points[1:], papers) == []


def test_the_papers_figures_are_those_of_their_tables() -> None:
    papers = yaml.safe_load(SWEEP.read_text())['tables']
    names = set(yaml.safe_load(TABLES.read_text())['configurations'])
    rows = {
        frozenset(value for value in row.paper if isinstance(value, (int, float)))
        for table in read_tables(TABLES, names).values()
        for row in table.rows
    }
    for name, paper in papers.items():
        if (
            name != 'distortion-aware'
        ):  # whose Table II has operations; experiments/paper_costs.py has them, too
            for miou, cost in zip(paper['miou'], paper.get('cost') or paper['fps'], strict=True):
                assert any({miou, cost} <= row for row in rows), (name, miou, cost)
    systems = {c.name for c in read_sweep(SWEEP, EvaluationConfig())}
    assert set(papers) <= systems


def test_the_command_writes_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_evaluation(evaluation(), tmp_path / 'out')
    assert main([str(tmp_path / 'out'), '-o', str(tmp_path / 'latency.png')]) == 0
    assert (tmp_path / 'latency.png').read_bytes().startswith(b'\x89PNG')
    assert 'OpenVINO bf16' in capsys.readouterr().out
    assert main([str(tmp_path), '-o', str(tmp_path / 'latency.png')]) == 2
    assert 'expected the results of `vss evaluate' in capsys.readouterr().err
