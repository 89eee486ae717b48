"""The demo in three dimensions runs against the real node and holds to its limits."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')
pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')
pytest.importorskip('pybullet', reason='needs pybullet: pip install pybullet')

from experiments.demo_3d import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_clouds_and_ground_are_as_the_simulation_has_them(
    tmp_path: Path, ros_domain: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, 'argv', ['demo-3d', '-o', str(tmp_path), '--frames', '2'])
    assert main() == 0
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert summary['worst']['points_m_worst'] < 0.02
    assert summary['mean']['ground_agrees'] >= 0.9
    assert (tmp_path / 'cloud.png').stat().st_size > 10_000
