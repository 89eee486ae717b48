"""What the rig of four cameras makes of its phases."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')
pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')

from experiments.cameras import changes, table


def phase(kind: str, camera: str, **p99: float) -> dict[str, Any]:
    rows = {
        name: {'p50': 1.0, 'p99': value, 'max': 2.0, 'answered': 1.0, 'key_frames': 3}
        for name, value in p99.items()
    }
    return {'kind': kind, 'camera': camera, 'cameras': rows, 'cpu': 0.5, 'memory_mb': 300.0, 'load': 1.0}


def test_a_fault_is_compared_with_what_is_usual_before_and_after() -> None:
    phases = [
        phase('well', '', front=10.0, rear=10.0), phase('flooded', 'front', front=99.0, rear=13.2),
        phase('well', '', front=10.0, rear=14.0), phase('killed', 'front', rear=14.0),
        phase('well', '', front=10.0, rear=14.0),
    ]  # fmt: skip
    made = changes(phases)
    assert [(row['fault'], row['camera'], row['change']) for row in made] == [
        ('flooded', 'rear', 0.1), ('killed', 'rear', 0.0),
    ]  # fmt: skip
    said = table({
        'alone': phase('well', '', **{'': 9.0}), 'phases': phases, 'changes': made, 'memory_mb_a_camera': 5.0,
        'bars': {'apart': True},
    })  # fmt: skip
    assert '| flooded | front | rear | 100.0 % | 1.0 | 13.2 |' in said
    assert 'front flooded: p99 of rear +10.0%' in said
