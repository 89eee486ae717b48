"""Every system is driven in turn, and the default is compared with each at its cost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from evaluation_parts import Clock

from experiments.system_table import main, steadiness, systems, verdicts
from vss_ros.engine.frames import Frame
from vss_ros.evaluation.tune.drive import Recording
from vss_ros.images.classes import load_classes

if TYPE_CHECKING:
    from pathlib import Path


class Ticking(Clock):
    """Every look at this clock takes a tenth of a millisecond."""

    def perf_counter(self) -> float:
        self.now += 1e-4
        return self.now


@pytest.mark.slow
def test_each_is_driven_as_often(
    project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr('vss_ros.evaluation.tune.drive.time', Ticking())
    words = [str(project_root / 'test/data/street'), '--size', '32x64', '--frames', '20', '--repeats', '2']
    assert main([*words, '--only', 'auto', 'default', '--json', str(tmp_path / 'table.json')]) == 0
    whole, ours = json.loads((tmp_path / 'table.json').read_text())['rows']
    assert (whole['system'], ours['system']) == ('auto', 'default')
    assert whole['answered'] == ours['answered'] == '40 of 40'
    assert whole['key frames %'] == 100
    assert ours['key frames %'] > 0
    assert 0 < ours['GFLOP'] <= whole['GFLOP']
    assert all(0 < row[score] <= 100 for row in (whole, ours) for score in ('mIoU', 'steadiness'))
    assert '- default against auto: mIoU ' in capsys.readouterr().out


def test_all_systems_of_the_plot_are_there_in_one_runtime() -> None:
    names = list(systems([]))
    assert len(names) == 12
    assert {'auto', 'default', 'GSVNet', 'TWNet', 'low-latency', 'default, key frames 6 apart'} <= {*names}
    with pytest.raises(SystemExit, match=r'expected systems among auto, .*, got fast'):
        main(['nowhere', '--only', 'fast'])


def test_every_form_of_the_default_meets_every_other() -> None:
    rows = [
        {'system': name, 'mIoU': miou, 'steadiness': 80.0, 'CPU ms': cpu, 'p99': 10.0, 'p50': 40.0}
        for name, miou, cpu in (('auto', 74.0, 20.0), ('TWNet', 73.0, 10.0), ('default', 73.5, 5.0))
    ]
    common = 'steadiness +0.0, {} of its CPU ms, 1.00 of its p99'.format
    assert verdicts(rows) == [
        f'- default against auto: mIoU -0.5, {common("0.25")}, p99 0.25 of its p50',
        f'- default against TWNet: mIoU +0.5, {common("0.50")}',
    ]


def test_a_mask_that_flickers_is_less_steady() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    recording = Recording([Frame(image, i, i) for i in range(3)], [None] * 3, load_classes('camvid11'))
    mask = np.zeros((32, 32), np.uint8)
    mask[:16] = 1
    assert steadiness({0: mask, 1: mask, 2: mask}, recording) == 1
    assert steadiness({0: mask, 1: 1 - mask, 2: mask}, recording) < 0.5
