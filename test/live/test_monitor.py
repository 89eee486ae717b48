"""``vss monitor`` shows a line for each camera whose node speaks on /diagnostics."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')
pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from vss_ros.cli.main import main
from vss_ros.live.monitor import HEAD, Monitor, row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VALUES = {
    'camera_hz': '15.00', 'rate_hz': '14.80', 'latency_all_ms_p50': '7.2', 'latency_all_ms_p99': '11.5',
    'age_ms_p95': '48.0', 'answered': '200', 'key_frames': '50',
    'overwritten': '3', 'lost': '1', 'rejected': '2',
}  # fmt: skip


@pytest.fixture
def monitor(ros_domain: dict[str, str]) -> Iterator[Monitor]:
    rclpy.init()
    node = Monitor()
    yield node
    node.destroy_node()
    rclpy.shutdown()


def status(name: str, values: dict[str, str], level: bytes = b'\0', said: str = '') -> DiagnosticStatus:
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticStatus(name=name, level=level, message=said, values=pairs)


def test_a_line_stands_below_its_heads() -> None:
    line = row('front/segmentation: segmentation', b'\0', VALUES)
    for head, shown in (
        ('in Hz', '15.0'), ('out Hz', '14.8'), ('p50 ms', '7.2'), ('p99 ms', '11.5'), ('age ms', '48'),
        ('key %', '25'), ('behind', '3'), ('lost', '1'), ('refused', '2'),
    ):  # fmt: skip
        end = HEAD.index(head) + len(head)
        assert line[:end].endswith(shown), (head, line)
    assert 'nan' in row('new', b'\0', {})  # a node that has answered nothing yet


def test_each_camera_has_a_line_and_what_is_wrong_is_said(monitor: Monitor) -> None:
    assert 'no segmentation node speaks' in monitor.text()
    talker = rclpy.create_node('talker')
    publisher = talker.create_publisher(DiagnosticArray, '/diagnostics', 10)
    array = DiagnosticArray(
        status=[
            status('rear: segmentation', VALUES, b'\1', 'slow \x1b[31m'),
            status('front: segmentation', VALUES),
            status('battery', {'charge': '90'}),
        ]
    )
    while len(monitor.cameras) < 2:
        publisher.publish(array)
        rclpy.spin_once(monitor, timeout_sec=0.2)
    talker.destroy_node()
    lines = monitor.text().splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ['front', 'rear']
    assert lines[2].endswith('WARN')
    assert lines[3] == 'rear: segmentation: slow \\x1b[31m'


def test_the_command_ends_by_itself_and_writes_what_it_saw(
    ros_domain: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ['monitor', '--period', '0.2', '--count', '1', '--json', str(tmp_path / 'seen.json')]
    assert main(words) == 1
    assert 'is ROS_DOMAIN_ID the same?' in capsys.readouterr().out
    assert json.loads((tmp_path / 'seen.json').read_text()) == {'cameras': {}}
    assert main(['monitor', '--period', '0']) == 2
