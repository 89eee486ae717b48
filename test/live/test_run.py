"""The processes of a live run end with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')

PARENT = """
import sys, time
from pathlib import Path
from vss_ros.live import run
run.EXECUTABLES['server'] = 'http.server'
with run.Child('server', ['0', '--bind', '127.0.0.1'], Path(sys.argv[1])) as child:
    child.wait_for('Serving', 60)
    print(child._process.pid, flush=True)
    time.sleep(600)
"""


def test_a_killed_run_leaves_no_process(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, '-c', PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = Path('/proc') / parent.stdout.readline().strip()
    assert child.is_dir()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    end = time.monotonic() + 20
    while child.is_dir() and time.monotonic() < end:
        time.sleep(0.1)
    assert not child.is_dir()
