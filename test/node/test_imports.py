"""What a robot loads: importing the node brings in no more than the node needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip(
    'rclpy', reason='needs rclpy: run the tests with make test, or source a ROS 2 distribution'
)
pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')

LAYERS = {
    'command_line',
    'engine',
    'errors',
    'files',
    'images',
    'latency',
    'msg',
    'node',
    'resources',
    'schema',
}
NOT_ON_A_ROBOT = ('matplotlib', 'jinja2', 'rosbags', 'mcap', 'apsw', 'ray', 'av', 'onnxruntime', 'launch')


def test_the_node_imports_the_engine_and_images_and_little_else() -> None:
    script = 'import sys, vss_ros.node.main, vss_ros.node.segmentation_node; print(*sorted(sys.modules))'
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert 'vss_ros.engine.pipeline' in loaded
    assert {name.split('.')[1] for name in loaded if name.startswith('vss_ros.')} <= LAYERS
    assert not set(NOT_ON_A_ROBOT) & set(loaded)
