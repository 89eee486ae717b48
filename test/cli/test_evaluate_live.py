"""`vss evaluate --live` without a graph: what is refused, and what it says where ROS is missing."""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from evaluation_parts import config

from vss_ros.cli.evaluate_options import live_sweep
from vss_ros.cli.main import main
from vss_ros.evaluation.sweep.sweep import Sweep

if TYPE_CHECKING:
    from pathlib import Path

WITHOUT = """
import sys
sys.modules[{missing!r}] = None
from vss_ros.cli.main import main
sys.exit(main(['evaluate', 'nothing', '--live']))
"""


@pytest.mark.parametrize('missing', ['rclpy', 'vss_ros.msg'])
def test_says_what_to_install_and_source(missing: str, tmp_path: Path, project_root: Path) -> None:
    done = subprocess.run(
        [sys.executable, '-c', WITHOUT.format(missing=missing)],
        capture_output=True, text=True, cwd=project_root, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert 'expected ROS 2 for --live, got no Python package' in done.stderr
    assert 'source a ROS 2 distribution' in done.stderr
    assert 'Traceback' not in done.stderr


@pytest.mark.parametrize(
    ('words', 'reason'),
    [
        (['--rate', '3'], 'add --live'),
        (['--attach', '/segmentation'], 'add --live'),
        (['--live', '--pda'], 'leave out --live'),
        (['--live', '--workers', '2'], 'one run at a time'),
        (['--live', '--repeats', '3'], 'no two drop the same frames'),
        (['--live', '--engine', 'ray', '-o', 'out'], 'leave out --engine'),
        (['--live', '--attach', '/segmentation', '--sweep', 'sweep.yaml'], 'leave out --sweep'),
        (['--live', '--attach', 'segmentation'], 'the full name of a node'),
    ],
)
def test_combinations_that_make_no_sense(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['evaluate', 'nothing', *words]) == 2
    assert reason in capsys.readouterr().err


def test_a_sweep_made_for_replays_is_played_without_its_curves(capsys: pytest.CaptureFixture[str]) -> None:
    sweep = Sweep((replace(config('curve'), pda=True), config('plain')))
    live = live_sweep(sweep, Namespace(live=True, rate=2.0))
    assert [(c.name, c.live, c.rate, c.pda) for c in live.configurations] == [
        ('curve', True, 2.0, False),
        ('plain', True, 2.0, False),
    ]
    assert capsys.readouterr().err == 'vss: pda: true is left out, as it measures by replaying: curve\n'
    assert live_sweep(sweep, Namespace(live=False)) is sweep
    assert capsys.readouterr().err == ''


def test_a_rate_that_makes_no_sense(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')
    pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')
    assert main(['evaluate', 'nothing', '--live', '--rate', '0', '--device', 'cpu']) == 2
    assert 'expected a number above 0' in capsys.readouterr().err
