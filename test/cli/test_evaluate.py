"""`vss evaluate` as users run it: keys, files, exit status, and runs that are stopped."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from evaluation_parts import FRAMES, bag, clip, options

from vss_ros.cli.main import main

pytestmark = pytest.mark.usefixtures('one_thread')
SWEEP = """
configurations:
  lazy: {propagation: reuse, scheduler: fixed_interval}
  warped: {propagation: flow_warp, scheduler: fixed_interval, track: blocking}
  untrained: {model: mobilenet_fpn, propagation: spatially_variant_conv}
"""
FILES = {'results.json', 'timing.json', 'decisions', 'store'}


@pytest.fixture(scope='module')
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip(tmp_path_factory.mktemp('clip'))


@pytest.fixture(scope='module')
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp('sweep') / 'sweep.yaml'
    file.write_text(SWEEP)
    return file


def test_one_configuration_has_the_keys_that_machines_read(images: Path, tmp_path: Path) -> None:
    target = tmp_path / 'r.json'
    assert main(['evaluate', str(images), '--json', str(target), '--pda', *options()]) == 0
    result = json.loads(target.read_text())
    assert {
        'miou', 'pixel_accuracy', 'per_class_iou', 'frames', 'key_frame_rate', 'mean_interval', 'latency_ms',
        'latency_key_ms', 'latency_nonkey_ms', 'flops_ratio', 'config', 'pda', 'boundary_f', 'streaming',
        'temporal_consistency', 'class_accuracy', 'interval', 'machine', 'worst',
    } <= set(result)  # fmt: skip
    assert 0.2 < result['miou'] < 1
    assert (result['frames'], result['key_frames']) == (FRAMES, 3)
    assert result['mean_interval'] == FRAMES / 3
    assert set(result['latency_ms']) == {'p50', 'p95', 'p99', 'max'}
    assert len(result['inputs'][0]['latency_ms']) == FRAMES
    assert len(result['per_class_iou']) == 11
    assert list(tmp_path.iterdir()) == [target]


def test_a_sweep_over_good_and_bad_inputs(
    images: Path, sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bags = tmp_path / 'bags'
    made = bag(images, bags / 'a')
    bag(images, bags / 'b', '--storage', 'sqlite3')
    cut = bags / 'c.mcap'
    data = next(made.glob('*.mcap')).read_bytes()
    cut.write_bytes(data[: len(data) // 3])
    arguments = ['evaluate', str(bags), str(images), str(tmp_path / 'nowhere'), '--sweep', str(sweep)]
    capsys.readouterr()
    assert main([*arguments, '-o', str(tmp_path / 'out'), *options()]) == 1
    text = capsys.readouterr().out
    assert text.startswith('worst latency at most 50 % of per-frame: ')
    assert '\nat most 2 mIoU lost: ' in text
    assert "\neach frame's time is the median of 3 replays" in text
    assert 'refused: untrained: propagation' in text
    assert f'not evaluated: {tmp_path / "nowhere"}: expected a video' in text
    assert f'{cut}: ' in text
    out = tmp_path / 'out'
    assert {path.name for path in out.iterdir()} >= FILES
    results = json.loads((out / 'results.json').read_text())
    assert [entry['name'] for entry in results['configurations']] == [
        'per_frame+efficientnet_lite0_fpn', 'per_frame+mobilenet_fpn', 'lazy', 'warped',
    ]  # fmt: skip
    inputs = results['configurations'][2]['inputs']
    assert [Path(entry['path']).name for entry in inputs] == ['a', 'b', 'c.mcap', 'images', 'nowhere']
    assert [entry['failed'] for entry in inputs][-1]
    assert inputs[2]['partial'] or inputs[2]['failed']
    rows = list(csv.DictReader((out / 'decisions' / 'lazy.csv').open()))
    assert len(rows) == results['configurations'][2]['frames']
    assert (rows[0]['reason'], rows[0]['deviation']) == ('first', '')
    timing = json.loads((out / 'timing.json').read_text())
    assert timing['verdict']['reference'].startswith('per_frame+')
    assert len(timing['configurations']) == 4


@pytest.mark.slow
def test_the_same_bytes_whatever_the_workers_and_again_from_the_store(
    images: Path, sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = str(clip(tmp_path / 'other', 5, masks=False))
    arguments = ['evaluate', str(images), other, '--sweep', str(sweep), *options()]

    def run(name: str, *more: str) -> tuple[bytes, bytes]:
        out = tmp_path / name
        assert main([*arguments, '-o', str(out), *more]) == 0
        return (out / 'results.json').read_bytes(), (out / 'timing.json').read_bytes()

    first, again, both = run('one'), run('one'), run('two', '--workers', '2')
    assert again == first  # the times too: nothing was run
    assert both[0] == first[0]
    fresh = run('one', '--fresh', '--repeats', '1')
    assert fresh[0] == first[0]
    assert fresh[1] != first[1]
    replays = [[entry['replays'] for entry in json.loads(t)['configurations']] for _, t in (first, fresh)]
    assert replays == [[3] * 4, [1] * 4]
    assert (tmp_path / 'one' / 'decisions' / 'warped.csv').read_bytes() == (
        tmp_path / 'two' / 'decisions' / 'warped.csv'
    ).read_bytes()


def command(images: Path, sweep: Path, out: Path) -> list[str]:
    program = [sys.executable, '-m', 'vss_ros.cli.main', 'evaluate']
    return [*program, str(images), '--sweep', str(sweep), '-o', str(out), *options()]


@pytest.mark.slow
@pytest.mark.parametrize('stop', [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_goes_on_where_it_was(stop: signal.Signals, tmp_path: Path, project_root: Path) -> None:
    images = clip(tmp_path / 'clip', 40)
    sweep = tmp_path / 'sweep.yaml'
    sweep.write_text(
        'product: {propagation: reuse, scheduler: fixed_interval, interval: [2, 3, 4, 5, 6, 7, 8, 9]}'
    )
    out, whole = tmp_path / 'out', tmp_path / 'whole'
    process = subprocess.Popen(
        command(images, sweep, out), cwd=project_root, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while len(list((out / 'store').glob('*.json'))) < 2:
        assert process.poll() is None, 'ended before it could be stopped'
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(stop)
    _, errors = process.communicate(timeout=60)
    if stop is signal.SIGINT:
        assert process.returncode == 130
        assert 'the same command goes on from here' in errors
        assert 'Traceback' not in errors
    assert not (out / 'results.json').exists()
    done = {path: path.stat().st_mtime_ns for path in (out / 'store').glob('*.json')}
    assert 2 <= len(done) < 9
    assert all(json.loads(path.read_text())['result']['frames'] == 40 for path in done)

    subprocess.run(command(images, sweep, out), cwd=project_root, check=True, capture_output=True)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert len(list((out / 'store').glob('*.json'))) == 9
    subprocess.run(command(images, sweep, whole), cwd=project_root, check=True, capture_output=True)
    assert (out / 'results.json').read_bytes() == (whole / 'results.json').read_bytes()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--propagation', 'magic'], 'expected one of: auto, none, '),
        (['--sweep', 'nowhere.yaml'], 'nowhere.yaml'),
        (['--workers', '0'], '--workers'),
        (['--repeats', '0'], '--repeats of 1 or more, got 0'),
        (['--slow-delay', '0'], '--track blocking'),
        (['--device', 'cuda:99'], 'device'),
    ],
)
def test_nonsense_is_refused_in_one_line(
    arguments: list[str], message: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'out'
    assert main(['evaluate', str(images), '-o', str(out), *options(), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert 'Traceback' not in error
    assert not out.exists()


def test_nothing_to_evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['evaluate', str(tmp_path / 'nowhere'), *options()]) == 2
    assert 'not evaluated' in capsys.readouterr().out


def test_a_folder_of_other_files_is_left_alone(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'precious').write_text('x')
    assert main(['evaluate', str(images), '-o', str(tmp_path), *options()]) == 2
    assert 'choose another folder' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['precious']


def test_damaged_frames_show_in_the_exit_status(images: Path, tmp_path: Path) -> None:
    shutil.copytree(images.parent, tmp_path / 'c')
    file = tmp_path / 'c' / 'images' / '0004.png'
    file.write_bytes(file.read_bytes()[:500])
    assert main(['evaluate', str(tmp_path / 'c'), '--json', str(tmp_path / 'r.json'), *options()]) == 1
    assert json.loads((tmp_path / 'r.json').read_text())['inputs'][0]['rejected'] == 1
