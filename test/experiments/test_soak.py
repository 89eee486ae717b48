"""The soak: slopes of what a process holds, and leaks that it finds."""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')
pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')

from experiments.mutations import main as mutations
from experiments.soak import BARS, Sample, over, sample, slope, slopes

MINUTES = np.arange(0, 120, 1 / 6)


def test_a_slope_is_that_of_the_line_whatever_a_few_moments_are() -> None:
    rng = np.random.default_rng(0)
    values = 500_000 + 12.0 * MINUTES + rng.normal(0, 50, MINUTES.size)
    values[rng.integers(MINUTES.size, size=30)] += 20_000
    assert slope(MINUTES.tolist(), values.tolist()) == pytest.approx(12.0, abs=0.5)


def test_what_grows_faster_than_its_bar_is_named() -> None:
    samples = [
        Sample(m, 500_000 + max(0, 10 - m) * -1000 + 20 * m, 23, 27 + m // 30, 64_000) for m in MINUTES
    ]
    found = slopes(samples)
    assert found['memory_kb'] == pytest.approx(20, abs=1)
    assert [sentence.partition(' ')[0] for sentence in over(found, BARS)] == ['memory_kb', 'threads']


def test_a_sample_sees_memory_threads_and_descriptors() -> None:
    before = sample(os.getpid(), 0)
    # Pages of its own that nothing has used before.
    held, go = mmap.mmap(-1, 200_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), threading.Event()
    held.write(os.urandom(len(held)))
    thread = threading.Thread(target=go.wait)
    thread.start()
    with Path(__file__).open():
        after = sample(os.getpid(), 1)
    go.set()
    thread.join()
    # Half: other tests' garbage may be given back meanwhile.
    assert len(held) / 1024 * 0.5 < after.memory_kb - before.memory_kb
    assert (after.threads - before.threads, after.descriptors - before.descriptors) == (1, 1)


def test_mutated_images_are_refused_or_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert mutations(['4000']) == 0
    assert '4000 in all: no crash, no wrong pixel' in capsys.readouterr().out


def _soak(folder: Path, domain: dict[str, str], *words: str) -> dict[str, float]:
    command = [sys.executable, '-m', 'experiments.soak', '-o', str(folder), *words]
    done = subprocess.run(command, env=os.environ | domain, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    slopes: dict[str, float] = json.loads((folder / 'report.json').read_text())['slopes_a_minute']
    return slopes


@pytest.mark.slow
def test_ten_minutes_of_faults(ros_domain: dict[str, str], tmp_path: Path) -> None:
    found = _soak(tmp_path, ros_domain, '--hours', '0.167', '--faults', '--every', '5')
    assert found['descriptors'] == found['threads'] == 0
    assert found['shared_kb'] == 0
    assert found['memory_kb'] < 2000  # in so short a time caches still fill


@pytest.mark.slow
@pytest.mark.parametrize('leak', ['memory', 'descriptors', 'threads', 'shared'])
def test_each_kind_of_leak_is_found(leak: str, ros_domain: dict[str, str], tmp_path: Path) -> None:
    found = _soak(tmp_path, ros_domain, '--hours', '0.05', '--leak', leak, '-p', 'runtime:=torch')
    name = leak if leak in {'descriptors', 'threads'} else f'{leak}_kb'
    assert found[name] > 3 * BARS[name]


@pytest.mark.slow
def test_faults_of_every_kind(ros_domain: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, '-m', 'experiments.faults', '--seeds', '1', '-o', str(tmp_path)]
    done = subprocess.run(command, env=os.environ | ros_domain, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
