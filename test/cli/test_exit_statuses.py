"""The table of exit statuses in docs/offline.md, verb by verb, each in a process as scripts see it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import yaml
from evaluation_parts import Clock
from onnx import TensorProto, helper, numpy_helper

from vss_ros.cli.main import VERBS, main
from vss_ros.engine.model_card import read_card
from vss_ros.files import read_summed, write_json, write_png

if TYPE_CHECKING:
    from collections.abc import Callable

SEGMENTER = ['--propagation', 'flow_warp', '--scheduler', 'fixed_interval', '--threads', '1']
SHORT = {
    'SEGMENTER': SEGMENTER,
    'TUNE': [
        *('--quick', '--frames', '20', '--runtime', 'openvino', '--propagation', 'none', '--node-ms', '1'),
        *('--size', '64x96', '--threads', '1', '-o', 'new/params.yaml'),
    ],
    'BENCHMARK': [
        *('--no-node', '--frames', '1', '--propagation', 'none', '--runtime', 'openvino', '--threads', '1'),
        *('--size', '48x64', '--input', 'frames'),
    ],
}
CASES = {
    0: {
        'segment': 'segment frames -o new SEGMENTER',
        'evaluate': 'evaluate frames -o new SEGMENTER',
        'benchmark': 'benchmark net.onnx BENCHMARK',
        'tune': 'tune long --latency 100000 TUNE',
        'pick': 'pick frames -n 1 -o new --threads 1',
        'train': 'train recipe.yaml --data d=data --runs runs -o new --threads 1',
        'report': 'report results',
        'report compare': 'report compare results results --fail-below 1',
        'models': 'models',
        'models show': 'models show card.yaml --size 64x96',
        'models verify': 'models verify net.yaml',
        'models add': 'models add net.onnx --classes camvid11 -o new',
        'models export': 'models export card.yaml -o new --size 64x96 --format openvino',
        'bag make': 'bag make frames -o new',
        'bag info': 'bag info bag',
    },
    1: {
        'segment': 'segment damaged -o new SEGMENTER',
        'evaluate': 'evaluate damaged -o new SEGMENTER',
        'benchmark': 'benchmark none.onnx BENCHMARK',
        'tune': 'tune long --latency 0.5 TUNE',
        'pick': 'pick damaged -n 1 -o new --threads 1',
        'report compare': 'report compare results worse --fail-below 1',
        'models verify': 'models verify other.yaml',
        'bag make': 'bag make damaged -o new',
        'bag info': 'bag info cut',
        'monitor': 'monitor --count 1 --period 0.1',
    },
    2: {
        'segment': 'segment nowhere -o new SEGMENTER',
        'evaluate': 'evaluate nowhere -o new SEGMENTER',
        'benchmark': 'benchmark --frames 0',
        'tune': 'tune frames --latency 20 --frames 0',
        'pick': 'pick nowhere -n 1 -o new',
        'train': 'train nowhere.yaml --data d=data -o new',
        'report': 'report nowhere',
        'report compare': 'report compare results',
        'models': 'models unknown',
        'models show': 'models show nowhere.yaml',
        'models verify': 'models verify nowhere.yaml',
        'models add': 'models add nowhere.onnx --classes camvid11',
        'models export': 'models export net.yaml -o new',
        'models quantise': 'models quantise card.yaml',
        'bag make': 'bag make nowhere -o new',
        'bag info': 'bag info nowhere',
        'monitor': 'monitor --period 0',
    },
}


@pytest.fixture(scope='module')
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what the commands name."""
    root = tmp_path_factory.mktemp('inputs')
    for folder in ('frames', 'damaged', 'long', 'data/images', 'data/labels'):
        (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(2):
        picture = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        for folder in ('frames', 'damaged', 'data/images'):
            write_png(root / folder / f'{i}.png', picture)
        write_png(root / 'data/labels' / f'{i}.png', np.zeros((48, 64), np.uint8))
    for i in range(20):
        write_png(root / 'long' / f'{i}.png', rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    (root / 'damaged/1.png').write_bytes(b'x')
    assert main(['bag', 'make', str(root / 'frames'), '-o', str(root / 'bag')]) == 0
    shutil.copytree(root / 'bag', root / 'cut')
    (file,) = (root / 'cut').glob('*.mcap')
    file.write_bytes(file.read_bytes()[:-200])
    card = read_card('efficientnet_lite0_fpn')
    for name in ('card', 'other'):
        shutil.copy(card.path, root / f'{name}.yaml')
    shutil.copy(Path(card.path).with_suffix('.safetensors'), root / 'card.safetensors')
    (root / 'other.safetensors').write_bytes(b'x')
    recipe = {
        'stage': 'backbone', 'model': 'm', 'backbone': 'lernet', 'epochs': 1, 'batch': 2, 'crop': [32, 32],
        'data': {'d': {}},
    }  # fmt: skip
    (root / 'recipe.yaml').write_text(yaml.safe_dump(recipe))
    weights = rng.standard_normal((11, 3, 4, 4)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node('Conv', ['image', 'weights'], ['logits'], strides=[4, 4])],
        'net',
        [helper.make_tensor_value_info('image', TensorProto.FLOAT, [1, 3, 48, 64])],
        [helper.make_tensor_value_info('logits', TensorProto.FLOAT, [1, 11, 12, 16])],
        [numpy_helper.from_array(weights, 'weights')],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8), root / 'net.onnx'
    )
    assert main(['models', 'add', str(root / 'net.onnx'), '--classes', 'camvid11', '-o', str(root)]) == 0
    assert main(['evaluate', str(root / 'data'), '-o', str(root / 'results'), *SEGMENTER]) == 0
    for folder, score in (('results', 0.9), ('worse', 0.1)):
        if folder == 'worse':
            shutil.copytree(root / 'results', root / folder)
        values = read_summed(root / folder / 'results.json')
        values['configurations'][0]['miou'] = score
        write_json(root / folder / 'results.json', values, summed=True)
    return root


def in_a_process(
    folder: Path, words: list[str], on_start: Callable[[int], None] = lambda _: None
) -> tuple[int, str]:
    """Run a command in a fork, which starts at once; returns its status and what it said."""
    log = folder / 'log'
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.chdir(folder)
            for number, mode in ((1, os.O_CREAT | os.O_WRONLY | os.O_APPEND), (2, os.O_WRONLY | os.O_APPEND)):
                os.dup2(os.open('log', mode), number)
            sys.stdout, sys.stderr = os.fdopen(1, 'w'), os.fdopen(2, 'w')
            sys.argv = ['vss', *words]
            code = main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 98
        finally:
            sys.stderr.flush()
            os._exit(code)
    on_start(child)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = log.read_text()
    log.unlink()
    return status, said


@pytest.mark.slow
@pytest.mark.parametrize(
    ('status', 'case'), [(status, case) for status, cases in CASES.items() for case in cases]
)
def test_statuses(status: int, case: str, inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if case == 'tune':  # on a busy machine images would be missed, and no budget met
        monkeypatch.setattr('vss_ros.evaluation.tune.drive.time', Clock())
    words = [word for w in CASES[status][case].split() for word in SHORT.get(w, [w])]
    got, said = in_a_process(inputs, words)
    made = (inputs / 'new').exists()
    shutil.rmtree(inputs / 'new', ignore_errors=True)
    assert (got, 'Traceback' in said) == (status, False), said
    if status == 2:
        assert not made or case == 'evaluate'  # whose report says why of each input
        assert re.search(r'^(vss: |usage: |not evaluated: )', said, re.MULTILINE)


def test_every_verb_is_in_the_table_and_the_table_is_documented(project_root: Path) -> None:
    running = {'monitor'}  # shows nodes that run: see test/live/test_monitor.py
    assert {case.split()[0] for case in CASES[0]} == set(VERBS) - running
    assert {case.split()[0] for case in CASES[2]} == set(VERBS)
    page = (project_root / 'docs/offline.md').read_text()
    stated = [
        int(n)
        for line in page.splitlines()
        if (m := re.match(r'\| ([\d, ]+) \|', line))
        for n in m[1].split(',')
    ]
    assert stated == [0, 1, 2, 3, 130, 143]


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('case', ['segment', 'evaluate', 'train', 'models export', 'bag make'])
def test_a_signal_has_its_status_and_leaves_nothing(number: signal.Signals, case: str, inputs: Path) -> None:
    words = [word for w in CASES[0][case].split() for word in SHORT.get(w, [w])]

    def stop(child: int) -> None:
        # It has begun, and has its own handlers.
        while Path(f'/proc/{child}/fd/2').readlink().name != 'log' or signal.SIGTERM not in caught(child):
            time.sleep(0.005)
        os.kill(child, number)

    before = {path.name for path in inputs.iterdir()}
    status, said = in_a_process(inputs, words, stop)
    left = {path.name for path in inputs.iterdir()} - before - {'runs'}
    for name in left:
        shutil.rmtree(inputs / name)
    assert (status, left) == (128 + number, set()), said


def caught(pid: int) -> set[signal.Signals]:
    """Return the signals that a process has handlers of."""
    (mask,) = re.findall(r'^SigCgt:\s+(\w+)', Path(f'/proc/{pid}/status').read_text(), re.MULTILINE)
    return {number for number in signal.Signals if int(mask, 16) >> (number - 1) & 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    'words',
    [
        ['bag', 'make', 'frames', '-o', 'new', '--format', 'h264', '--gop', '2147483648'],
        ['bag', 'make', 'frames', '-o', 'new', '--frame-id', '\udcff'],
        ['bag', 'make', 'frames', '-o', 'new', '--frame-id', '\x1b[2J'],
    ],
)
def test_odd_values_are_refused(words: list[str], inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(inputs / word) if word in {'frames', 'new'} else word for word in words]
    assert main(words) == 2
    assert 'expected' in capsys.readouterr().err
    assert not (inputs / 'new').exists()


@pytest.mark.slow
def test_a_name_that_is_no_utf8_does_no_harm(inputs: Path) -> None:
    folder = shutil.copytree(inputs / 'data', inputs / 'caf\udce9')
    assert main(['evaluate', str(folder), '-o', str(inputs / 'new'), *SEGMENTER]) == 0
    shutil.rmtree(folder)
    shutil.rmtree(inputs / 'new')


@pytest.mark.slow
def test_results_for_machines_say_what_the_status_does(inputs: Path) -> None:
    assert main(['segment', str(inputs / 'damaged'), '-o', str(inputs / 'new'), *SEGMENTER]) == 1
    assert json.loads((inputs / 'new/summary.json').read_text())['rejected'] == 1
    shutil.rmtree(inputs / 'new')
