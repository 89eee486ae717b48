"""`vss benchmark`: everything takes part, what cannot is named, machines can read all of it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import network_files
import pytest

from vss_ros.cli.main import main
from vss_ros.engine.runtimes.openvino import has_bf16

if TYPE_CHECKING:
    from pathlib import Path

TINY = ['--size', '96x128', '--frames', '2', '--threads', '1', '--no-node']


def test_all_contenders_take_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = network_files.export(network_files.plain(), tmp_path / 'mine.onnx')
    arguments = ['benchmark', str(mine), *TINY, '--propagation', 'flow_warp', '-o', str(tmp_path / 'out')]
    assert main(arguments) == 0
    found = json.loads((tmp_path / 'out' / 'benchmark.json').read_text())
    rows = found['rows']
    by_kind = {
        kind: {(r['name'], r['runtime'], r['precision']) for r in rows if r['kind'] == kind}
        for kind in ('per_frame', 'own', 'propagation')
    }
    precisions = ['f32', *(['bf16'] if has_bf16() else [])]
    expected = {(name, p) for name in ('openvino', 'torch') for p in precisions} | {('onnxruntime', 'f32')}
    assert {(runtime, p) for _, runtime, p in by_kind['per_frame'] if p != 'int8'} == expected
    theirs = {('openvino', p) for p in precisions} | {('onnxruntime', 'f32')}
    assert by_kind['own'] == {('mine.onnx', *pair) for pair in theirs}
    best = (found['auto'][0]['runtime'], found['auto'][0]['precision'])
    moving = {
        (f'flow_warp, {track}', *r) for track in ('blocking', 'fast_slow') for r in (best, ('torch', 'f32'))
    }
    assert by_kind['propagation'] == moving

    for row in rows:
        assert row['frames'] == 2
        assert 0 < row['latency_ms']['p50'] <= row['latency_ms']['p99'] <= row['latency_ms']['max']
        assert row['cpu_s_per_s'] > 0
        assert row['size'] == ([48, 64] if row['kind'] == 'own' else [96, 128])
    whole = [row for row in rows if row['kind'] == 'per_frame']
    assert all(row['ratio_same_runtime'] == 1 for row in whole)
    assert min(row['ratio_best'] for row in whole) == 1
    moved = next(row for row in rows if row['kind'] == 'propagation' and row['track'] == 'blocking')
    assert 0 < moved['gflops'] < whole[0]['gflops']
    assert found['left_out'] == {}
    assert found['machine']['cpu']
    assert found['load_average']['start']
    assert found['seed'] == 0
    assert (tmp_path / 'out' / 'benchmark.png').read_bytes().startswith(b'\x89PNG')
    shown = capsys.readouterr().out
    assert 'network input 96x128, 1 thread' in shown
    assert 'mine.onnx' in shown


def test_what_cannot_take_part_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No network in the file, a propagation without weights, a runtime that would hand all to PyTorch."""
    (tmp_path / 'none.onnx').write_bytes(b'nothing')
    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    arguments = ['benchmark', str(tmp_path / 'none.onnx'), *TINY, '--json', str(tmp_path / 'b.json')]
    arguments += ['--runtime', 'torch', '--runtime', 'onnxruntime', '--model', 'mobilenet_fpn']
    with pytest.warns(RuntimeWarning, match='onnxruntime f32 cannot compute'):
        assert main([*arguments, '--propagation', 'refined_warping', '--track', 'blocking']) == 1
    found = json.loads((tmp_path / 'b.json').read_text())
    assert {row['runtime'] for row in found['rows']} == {'torch'}
    reasons = found['left_out']
    assert 'onnxscript' in reasons['network on every frame, onnxruntime f32']
    assert 'cannot be opened' in reasons['none.onnx, onnxruntime f32']
    assert 'has no weights' in reasons['refined_warping, blocking, torch f32']
    assert 'left out: none.onnx' in capsys.readouterr().out


def test_a_card_of_a_users_network_runs_where_files_run(tmp_path: Path) -> None:
    card = network_files.add(network_files.export(network_files.plain(), tmp_path / 'mine.onnx'))
    arguments = ['benchmark', *TINY[2:], '--model', str(card), '--track', 'blocking']
    arguments += ['--propagation', 'reuse', '--json', str(tmp_path / 'b.json')]
    assert main(arguments) == 0
    found = json.loads((tmp_path / 'b.json').read_text())
    whole = [row for row in found['rows'] if row['kind'] == 'per_frame']
    precisions = ['f32', *(['bf16'] if has_bf16() else [])]
    expected = {('openvino', p) for p in precisions} | {('onnxruntime', 'f32')}
    assert {(row['runtime'], row['precision']) for row in whole} == expected
    assert all(row['size'] == [48, 64] and row['gflops'] is None for row in whole)
    moved = [row for row in found['rows'] if row['kind'] == 'propagation']
    assert all(row['ratio_best'] is not None for row in moved)
    assert moved


def test_quickly_and_without_ros_the_rest_is_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, 'vss_ros.live.node_cost', None)
    arguments = ['benchmark', '--quick', *TINY[:-1], '--runtime', 'torch', '--propagation', 'none']
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert 'the node: not measured, no Python package' in shown
    assert shown.count('network on every frame') == 1


@pytest.mark.parametrize(
    ('arguments', 'fault'),
    [
        (['--propagation', 'warp'], "no propagation is called 'warp'"),
        (['--runtime', 'fast'], "no runtime is called 'fast'"),
        (['--frames', '-1'], '--frames and --threads of 1 or more'),
        (['--size', '90x120', '--runtime', 'torch'], 'size'),
        (['--input', 'nowhere'], 'does not exist'),
    ],
)
def test_refuses(arguments: list[str], fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['benchmark', *arguments]) == 2
    assert fault in capsys.readouterr().err
