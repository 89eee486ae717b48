"""Networks as people have them: other types, orders and numbers of outputs; loops without end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import torch
from engine_parts import frame
from network_files import SIZE, add
from onnx import TensorProto, helper, numpy_helper

from vss_ros.engine.backbones.external import External
from vss_ros.engine.backbones.network_answers import Kind, as_logits
from vss_ros.engine.build import build_module, build_segmenter
from vss_ros.engine.device import CPU
from vss_ros.engine.model_card import read_card
from vss_ros.engine.options import SegmenterConfig
from vss_ros.engine.runtimes.openvino import OpenVinoRuntime
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from pathlib import Path

    from vss_ros.engine.frames import FrameResult

HEIGHT, WIDTH = SIZE
FLOAT = TensorProto.FLOAT
CELLS = (HEIGHT // 4, WIDTH // 4)
node = helper.make_node


def save(
    path: Path,
    nodes: list[Any],
    outputs: dict[str, tuple[int, list[Any]]],
    given: tuple[int, list[Any]] = (FLOAT, [1, 3, HEIGHT, WIDTH]),
    more: dict[str, Any] | None = None,
    channels: int = 11,
) -> Path:
    """Write a network; ``weights`` are those of a convolution from 3 channels with a stride of 4."""
    weights = np.random.default_rng(0).standard_normal((channels, 3, 4, 4)).astype(np.float32)
    graph = helper.make_graph(
        nodes,
        'net',
        [helper.make_tensor_value_info('image', *given)],
        [helper.make_tensor_value_info(name, *output) for name, output in outputs.items()],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in {'weights': weights, **(more or {})}.items()],
    )
    opset = helper.make_opsetid('', 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path


CONVOLUTION = node('Conv', ['image', 'weights'], ['logits'], strides=[4, 4])
LOGITS: dict[str, tuple[int, list[Any]]] = {'logits': (FLOAT, [1, 11, *CELLS])}


def answer(card: Path, runtime: str = 'onnxruntime') -> FrameResult:
    """Return the answer for a frame, with confidence."""
    config = SegmenterConfig(str(card), 'none', device='cpu', runtime=runtime, precision='f32', threads=1)
    built = build_segmenter(config)
    assert built.runtime.faults == []
    return built.segmenter.step(frame(0), confidence=True)


def same(one: FrameResult, other: FrameResult, tolerance: int = 2) -> bool:
    """Say whether labels agree, but for rounding, and confidence too."""
    assert one.confidence is not None
    assert other.confidence is not None
    near = np.abs(one.confidence.astype(int) - other.confidence) <= tolerance
    return bool((one.labels == other.labels).mean() > 0.97 and near.mean() > 0.97)


@pytest.fixture(scope='module')
def usual(tmp_path_factory: pytest.TempPathFactory) -> FrameResult:
    """Return the answer of the convolution as PyTorch exports it: floats in, logits out."""
    return answer(add(save(tmp_path_factory.mktemp('usual') / 'net.onnx', [CONVOLUTION], LOGITS)))


@pytest.mark.parametrize('runtime', ['onnxruntime', 'openvino'])
def test_probabilities_are_not_made_probabilities_again(
    tmp_path: Path, runtime: str, usual: FrameResult, capsys: pytest.CaptureFixture[str]
) -> None:
    softmax = node('Softmax', ['logits'], ['shares'], axis=1)
    file = save(tmp_path / 'net.onnx', [CONVOLUTION, softmax], {'shares': (FLOAT, [1, 11, *CELLS])})
    card = add(file)
    assert 'answers probabilities, a softmax being inside' in capsys.readouterr().out
    assert same(answer(card, runtime), usual)


@pytest.mark.parametrize(
    ('kind', 'runtime'), [('UINT16', 'onnxruntime'), ('UINT16', 'openvino'), ('INT32', 'openvino')]
)
def test_labels_of_any_type_are_labels(tmp_path: Path, kind: str, runtime: str, usual: FrameResult) -> None:
    to = getattr(TensorProto, kind)
    nodes = [
        CONVOLUTION,
        node('ArgMax', ['logits'], ['ids'], axis=1),
        node('Cast', ['ids'], ['labels'], to=to),
    ]
    card = add(save(tmp_path / 'net.onnx', nodes, {'labels': (to, [1, 1, *CELLS])}))
    labels = answer(card, runtime).labels
    coarse = torch.from_numpy(usual.labels)[2::4, 2::4]  # where scaling has nothing to mix
    assert (torch.from_numpy(labels)[2::4, 2::4] == coarse).float().mean() > 0.8


@pytest.mark.parametrize('runtime', ['onnxruntime', 'openvino'])
def test_of_several_outputs_the_one_that_fits_counts_and_is_named(
    tmp_path: Path, runtime: str, usual: FrameResult, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = [
        node('ReduceMean', ['image'], ['mean'], axes=[1]),
        CONVOLUTION,
        node('AveragePool', ['logits'], ['coarse'], kernel_shape=[2, 2], strides=[2, 2]),
        node('Neg', ['logits'], ['other']),
    ]
    half = [1, 11, HEIGHT // 8, WIDTH // 8]
    outputs = {
        'mean': (FLOAT, [1, 1, HEIGHT, WIDTH]),
        'coarse': (FLOAT, half),
        **LOGITS,
        'other': LOGITS['logits'],
    }
    card = add(save(tmp_path / 'net.onnx', nodes, outputs))
    assert 'output logits (of mean, coarse, logits, other; --answer' in capsys.readouterr().out
    assert read_card(card).output == 'logits'
    assert same(answer(card, runtime), usual)
    other = answer(
        add(tmp_path / 'net.onnx', '--answer', 'other', '--name', 'other').with_stem('other'), runtime
    )
    assert (other.labels == usual.labels).mean() < 0.1
    add(tmp_path / 'net.onnx', '--answer', 'none', '--name', 'none', exit_code=2)
    assert 'expected one of the outputs mean, coarse, logits, other' in capsys.readouterr().err


@pytest.mark.parametrize('last', ['Sigmoid', 'Identity'])
def test_one_channel_is_two_classes(tmp_path: Path, last: str) -> None:
    table = tmp_path / 'two.yaml'
    table.write_text(
        '{name: two, void_id: 255, classes: '
        '[{name: rest, colour: [0, 0, 0]}, {name: way, colour: [9, 9, 9]}]}'
    )
    convolution = node('Conv', ['image', 'weights'], ['one'], strides=[4, 4])
    file = save(
        tmp_path / 'n.onnx',
        [convolution, node(last, ['one'], ['way'])],
        {'way': (FLOAT, [1, 1, *CELLS])},
        channels=1,
    )
    network = build_module(read_card(add(file, classes=str(table))))
    assert isinstance(network, External)
    assert network.kind is (Kind.SIGMOID if last == 'Sigmoid' else Kind.ONE_LOGIT)
    image = torch.randn(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(3))
    weights = numpy_helper.to_array(onnx.load(file).graph.initializer[0])
    one = torch.nn.functional.conv2d(image, torch.from_numpy(weights.copy()), stride=4)
    shares = network(image).softmax(1)
    assert torch.allclose(shares[:, 1], one[:, 0].sigmoid(), atol=1e-5)
    assert torch.equal(network(image).argmax(1), (one[:, 0] > 0).long())


def test_what_looked_like_probabilities_and_is_none_is_said() -> None:
    with pytest.raises(Exception, match='as of the first images, got values from 0 to 3'):
        as_logits(torch.tensor([0.0, 3.0]).reshape(1, 1, 1, 2), 2, Kind.SIGMOID)


@pytest.mark.parametrize('runtime', ['onnxruntime', 'openvino'])
def test_half_precision_and_bytes_go_in(tmp_path: Path, runtime: str, usual: FrameResult) -> None:
    cast = node('Cast', ['image'], ['wide'], to=FLOAT)
    convolution = node('Conv', ['wide', 'weights'], ['logits'], strides=[4, 4])
    half = (TensorProto.FLOAT16, [1, 3, HEIGHT, WIDTH])
    assert same(
        answer(add(save(tmp_path / 'half.onnx', [cast, convolution], LOGITS, half)), runtime), usual, 6
    )
    # As TensorFlow has it: pixels, channels last, any size, and normalised inside.
    mean, std = (255 * np.array(v, np.float32) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    nodes = [
        cast, node('Sub', ['wide', 'mean'], ['even']), node('Div', ['even', 'std'], ['normal']),
        node('Transpose', ['normal'], ['planes'], perm=[0, 3, 1, 2]),
        node('Conv', ['planes', 'weights'], ['there'], strides=[4, 4]),
        node('Transpose', ['there'], ['logits'], perm=[0, 2, 3, 1]),
    ]  # fmt: skip
    pixels = (TensorProto.UINT8, [1, 'height', 'width', 3])
    file = save(
        tmp_path / 'pixels.onnx',
        nodes,
        {'logits': (FLOAT, [1, 'h', 'w', 11])},
        pixels,
        {'mean': mean, 'std': std},
    )
    add(file, '--size', '48x64', '--mean', '1', '1', '1', exit_code=2)
    assert same(answer(add(file, '--size', '48x64'), runtime), usual)


def test_a_size_is_asked_for_where_any_will_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [
        node('Transpose', ['image'], ['planes'], perm=[0, 3, 1, 2]),
        node('Conv', ['planes', 'weights'], ['logits'], strides=[4, 4]),
    ]
    file = save(
        tmp_path / 'net.onnx', nodes, {'logits': (FLOAT, [1, 11, 'h', 'w'])}, (FLOAT, [1, 'h', 'w', 3])
    )
    add(file, exit_code=2)
    assert 'takes images of any size: say with --size HxW' in capsys.readouterr().err


def test_an_error_keeps_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [CONVOLUTION, node('Reshape', ['logits', 'shape'], ['flat'], name='long ' * 100)]
    file = save(
        tmp_path / 'net.onnx',
        nodes,
        {'flat': (FLOAT, [1, 11, 'h', 'w'])},
        more={'shape': np.array([1, 11, 7, 5])},
    )
    add(file, exit_code=2)
    said = capsys.readouterr().err
    assert 'requested shape:{1,11,7,5}' in said.replace(' ', '').replace('requestedshape', 'requested shape')
    assert len(said.splitlines()) == 1


def endless(path: Path) -> Path:
    """Write a network with a loop that does not end."""
    shape = [1, 11, *CELLS]
    body = helper.make_graph(
        [node('Identity', ['on'], ['still']), node('Relu', ['held'], ['kept'])],
        'body',
        [
            helper.make_tensor_value_info('turn', TensorProto.INT64, []),
            helper.make_tensor_value_info('on', TensorProto.BOOL, []),
            helper.make_tensor_value_info('held', FLOAT, shape),
        ],
        [
            helper.make_tensor_value_info('still', TensorProto.BOOL, []),
            helper.make_tensor_value_info('kept', FLOAT, shape),
        ],
    )
    nodes = [CONVOLUTION, node('Loop', ['turns', 'true', 'logits'], ['ends'], body=body)]
    more = {'turns': np.array(2**62), 'true': np.array(True)}
    return save(path, nodes, {'ends': (FLOAT, shape)}, more=more)


def test_a_loop_without_end_is_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('vss_ros.engine.network_files.DEADLINE_S', 0.3)
    file = endless(tmp_path / 'net.onnx')
    add(file, exit_code=2)
    assert 'no answer in 0 s; it may hold an endless loop' in capsys.readouterr().err
    with pytest.raises(VssError, match='expected no loop'):  # OpenVINO cannot be stopped
        OpenVinoRuntime(CPU, 'f32', 1).network(file.read_bytes())
