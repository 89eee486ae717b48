from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from report_parts import FRAMES, INTERVAL, configuration, evaluated, three, write_results

from vss_ros.errors import VssError
from vss_ros.evaluation.report.figures import columns
from vss_ros.evaluation.report.findings import read_findings

if TYPE_CHECKING:
    from pathlib import Path


def test_roles_and_what_is_looked_at(tmp_path: Path) -> None:
    findings = read_findings(three(tmp_path))
    roles = {entry.name: entry.roles for entry in findings.configurations}
    assert roles == {'per_frame': ('reference',), 'swift': ('fast',), 'careful': ('accurate',)}
    assert [entry.name for entry in findings.shown] == ['swift', 'careful']
    assert [entry.name for entry in findings.compared] == ['per_frame', 'swift', 'careful']
    assert [entry.name for entry in read_findings(tmp_path, ['per_frame']).shown] == ['per_frame']


def test_rows_have_their_latencies_over_several_inputs(tmp_path: Path) -> None:
    config = configuration('swift')
    found = [evaluated(config, 0.1, ms, path=path) for ms, path in ((20.0, 'a'), (30.0, 'b'))]
    (entry,) = read_findings(write_results(tmp_path, [(config, found)])).configurations
    rows = entry.rows
    assert [row['latency_ms'] for row in rows] == [ms for one in found for ms in one.timing.latency_ms]
    assert [row['input'] for row in rows] == [0] * FRAMES + [1] * FRAMES
    keys = FRAMES // INTERVAL - 1
    assert entry.mean_ms == pytest.approx((25.0, 25.0, 25.0)), f'{keys} key frames, the first left out'


def test_without_a_reference_there_is_no_verdict(tmp_path: Path) -> None:
    configs = [
        configuration('best'),
        configuration('soonest', interval=2),
        configuration('neither', interval=3),
    ]
    figures = [(0.05, 30.0), (0.1, 20.0), (0.1, 30.0)]
    found = [(c, [evaluated(c, *f)]) for c, f in zip(configs, figures, strict=True)]
    findings = read_findings(write_results(tmp_path, found))
    assert findings.verdict is None
    assert findings.reference is None
    assert [entry.name for entry in findings.shown] == ['best', 'soonest']


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(VssError, match='expected the results of'):
        read_findings(tmp_path)
    with pytest.raises(VssError, match='expected configurations among per_frame, swift, careful, got swfit'):
        read_findings(three(tmp_path), ['swfit'])


def test_columns_are_the_figures_of_the_files(tmp_path: Path) -> None:
    findings = read_findings(three(tmp_path))
    entry, shown = findings.configurations[1], {column.key: column for column in columns('mIoU')}
    assert entry.figure(shown['score']) == 100 * entry.result['miou']
    assert entry.figure(shown['latency_max']) == pytest.approx(20.0), (
        'the first frame takes ten times as long'
    )
    assert entry.figure(shown['key_frame_rate']) == pytest.approx(100 / INTERVAL)
    assert entry.figure(shown['flops_ratio']) == 50.0
    assert entry.result['flops_ratio_key'] == 1.0
    assert entry.result['flops_ratio_nonkey'] == pytest.approx(1 / 3, abs=1e-6)
    assert entry.figure(shown['boundary_f']) is None


def test_steadiness_stands_beside_the_score_or_not_at_all(tmp_path: Path) -> None:
    entry = read_findings(three(tmp_path)).configurations[0]
    keys = [column.key for column in columns('mIoU')]
    assert keys.index('temporal_consistency') == keys.index('score') + 1
    steadiness = columns('mIoU')[keys.index('temporal_consistency')].value
    scored = dict(entry.result) | {'temporal_consistency': 0.9}
    assert steadiness(scored, entry.timing) == 90.0
    assert steadiness(scored | {'miou': None}, entry.timing) is None
