"""The node as a process: it ends cleanly on a signal at any time, and says why it can't start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip(
    'rclpy', reason='needs rclpy: run the tests with make test, or source a ROS 2 distribution'
)
pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')


def _node_process(domain: dict[str, str], log: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, '-m', 'vss_ros.node.main', '--ros-args', *words]
    with log.open('w') as file:
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=os.environ | domain)


def _wait_for(process: subprocess.Popen[bytes], log: Path, text: str) -> None:
    deadline = time.monotonic() + 300
    while text not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


@pytest.mark.parametrize('delay', [0.2, 0.7, 1.5, 2.5])
def test_clean_exit_during_start_up(delay: float, ros_domain: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / 'node.log'
    process = _node_process(ros_domain, log)
    # Before the interpreter runs our first line nobody can catch a signal.
    while not _catches_sigterm(process.pid):
        assert process.poll() is None, log.read_text()
        time.sleep(0.01)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    while process.poll() is None and time.monotonic() - began < 30:
        process.send_signal(signal.SIGTERM)  # an impatient supervisor
        time.sleep(0.01)
    assert process.poll() == 0, log.read_text()
    assert 'Traceback' not in log.read_text()


def _catches_sigterm(pid: int) -> bool:
    """Tell from /proc whether a process handles SIGTERM, which Python itself leaves alone."""
    status = Path(f'/proc/{pid}/status').read_text()
    caught = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith('SigCgt'))
    return bool(caught >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize('number', [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_clean_exit_in_the_middle_of_an_inference(
    number: signal.Signals, ros_domain: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / 'node.log'
    # A large input keeps the network busy for most of the time, so that the signal meets an inference.
    words = ['size:=720x960', 'propagation:=none', 'image_transport:=compressed']
    remap = ['-r', 'image_raw/compressed:=/camera/image_raw/compressed']
    process = _node_process(ros_domain, log, *(w for word in words for w in ('-p', word)), *remap)
    player = None
    try:
        _wait_for(process, log, 'waiting for images')
        player = subprocess.Popen(
            [sys.executable, '-m', 'vss_ros.live.player', 'test/data/street', '--wait-subscribers', '1'],
            env=os.environ | ros_domain,
            cwd=Path(__file__).parents[2],
        )
        time.sleep(4.0)
        process.send_signal(number)
        time.sleep(0.1)
        while process.poll() is None:
            process.send_signal(number)
            time.sleep(0.01)
        assert process.poll() == 0
        assert 'Traceback' not in log.read_text()
    finally:
        if player is not None:
            player.terminate()
            player.wait()
        if process.poll() is None:
            process.kill()


@pytest.mark.parametrize(
    ('word', 'message'),
    [
        ('model:=no_such_model', 'no model card'),
        ('device:=meta', 'expected auto, cpu, cuda'),
        ('threshold:=-1.0', 'threshold'),
        ('track:=sideways', 'expected one of'),
        ('size:=361x480', 'multiples of 8'),
        ('interval:=many', 'interval'),
    ],
)
def test_a_node_that_cannot_start_says_why(
    word: str, message: str, ros_domain: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / 'node.log'
    process = _node_process(ros_domain, log, '-p', word)
    assert process.wait(300) == 1
    assert message in log.read_text()
    assert 'Traceback' not in log.read_text()


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (('--params-file', 'no.yaml'), 'Error opening YAML file'),
        (('-r', 'image_raw:=a:=b'), "Couldn't parse remap rule"),
        (('-p', 'model:=[a'), "Couldn't parse parameter"),
    ],
)
def test_arguments_that_cannot_be_read_take_one_line(
    words: tuple[str, str], message: str, ros_domain: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / 'node.log'
    assert _node_process(ros_domain, log, *words).wait(300) == 1
    passed_over = 'Failed to parse global', 'removed'  # rcl's own line; memory of nodes killed before
    (said,) = [line for line in log.read_text().splitlines() if not any(map(line.__contains__, passed_over))]
    assert said.startswith('segmentation_node: ')
    assert message in said
    assert words[1] in said


def test_parameters_that_reach_nobody_are_said(ros_domain: dict[str, str], tmp_path: Path) -> None:
    log, file = tmp_path / 'node.log', tmp_path / 'other.yaml'
    file.write_text('front:\n  camera_seg:\n    ros__parameters: {model: x}\n')
    words = ['--params-file', str(file), '-p', 'thresold:=1.0', '-p', 'model:=no_such_model', '-p', 'zzz:=1']
    assert _node_process(ros_domain, log, *words).wait(300) == 1
    said = log.read_text()
    assert "no parameter 'thresold'; did you mean 'threshold'?" in said
    assert "no parameter 'zzz', so that it is not used" in said
    assert 'has no parameters for /segmentation, only for /front/camera_seg' in said
