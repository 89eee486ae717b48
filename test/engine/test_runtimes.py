"""Every runtime computes what PyTorch does, for every shipped network and every part."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from runtime_parts import labels

from vss_ros.engine.build import build_segmenter, outline_segmenter
from vss_ros.engine.model_card import shipped_cards
from vss_ros.engine.options import SegmenterConfig
from vss_ros.engine.preprocess import IMAGENET
from vss_ros.engine.runtimes.openvino import OpenVinoRuntime, _Buffers, converted, has_bf16
from vss_ros.engine.runtimes.piece import Piece
from vss_ros.engine.runtimes.pytorch import TorchRuntime
from vss_ros.errors import VssError
from vss_ros.recordings.open import open_source
from vss_ros.resources import resource

if TYPE_CHECKING:
    from vss_ros.engine.frames import Frame
    from vss_ros.engine.model_card import ModelCard

CPU = torch.device('cpu')
MODELS = [card.name for card in shipped_cards() if card.kind == 'backbone']
PARTS = [card for card in shipped_cards() if card.kind == 'propagation']
AGREEMENT = 0.995
SMALL = (192, 256)
PLAIN = SegmenterConfig(propagation='none', device='cpu', threads=1)


@pytest.fixture(scope='module')
def frames() -> list[Frame]:
    """Six frames of the embedded clip, a fifth of a second apart."""
    with open_source(resource('test', 'data', 'street')) as source:
        return [frame for frame, _ in source][:18:3]


@pytest.mark.parametrize('model', MODELS)
def test_shipped_networks_give_the_same_labels_in_openvino(model: str, frames: list[Frame]) -> None:
    config = replace(PLAIN, model=model)
    reference = labels(replace(config, runtime='torch', precision='f32'), frames[:3])
    for precision in ['f32'] + ['bf16'] * has_bf16():
        answers = labels(replace(config, runtime='openvino', precision=precision), frames[:3])
        assert (answers == reference).mean() >= AGREEMENT, precision


@pytest.mark.parametrize('card', PARTS, ids=lambda card: card.name)
def test_every_shipped_propagation_moves_the_same_labels_in_openvino(
    card: ModelCard, frames: list[Frame]
) -> None:
    """On the network and the interior layer that it was trained on."""
    interior = int(card.name.partition('@')[2] or 0)
    moved_by(replace(PLAIN, model=card.base, propagation=card.builder, interior=interior), frames)


@pytest.mark.parametrize('name', ['reuse', 'flow_warp'])
def test_propagations_without_weights_run_in_openvino(name: str, frames: list[Frame]) -> None:
    moved_by(replace(PLAIN, propagation=name), frames)


def moved_by(config: SegmenterConfig, frames: list[Frame]) -> None:
    """Compare a propagation in OpenVINO with the reference, from a key frame and from frame to frame."""
    scheduler = 'predicted_deviation' if config.model == PLAIN.model else 'fixed_interval'
    config = replace(config, scheduler=scheduler, threshold=1.0, slow_delay=1, size=SMALL, interval=3)
    reference = labels(replace(config, runtime='torch', precision='f32'), frames[:5])
    best = 'bf16' if has_bf16() else 'f32'
    answers = labels(replace(config, runtime='openvino', precision=best), frames[:5])
    assert (answers == reference).mean() >= AGREEMENT
    reduced = labels(replace(config, runtime='torch', precision='bf16'), frames[:2])
    assert (reduced == reference[:2]).mean() >= AGREEMENT


def test_onnxruntime_gives_the_same_labels(frames: list[Frame]) -> None:
    pytest.importorskip('onnxscript', reason='exporting to ONNX needs onnxscript')
    config = replace(PLAIN, size=SMALL)
    reference = labels(replace(config, runtime='torch'), frames[:2])
    assert (labels(replace(config, runtime='onnxruntime'), frames[:2]) == reference).mean() >= AGREEMENT


def test_offline_the_reference_computes_and_live_the_fastest_is_measured() -> None:
    assert isinstance(build_segmenter(replace(PLAIN, slow_delay=1)).runtime, TorchRuntime)
    live = build_segmenter(replace(PLAIN, size=SMALL)).runtime
    assert isinstance(live, OpenVinoRuntime)
    assert live.precision in OpenVinoRuntime.precisions
    assert 'the fastest here' in live.reason or live.reason == 'the only choice here'


def test_what_cannot_be_compiled_runs_in_pytorch_and_says_so() -> None:
    class Broken(OpenVinoRuntime):
        def compile(self, *_: object) -> Any:
            raise RuntimeError('no such operation\nand a long trace')

    runtime = Broken(CPU, 'f32', 1)
    double = Piece(runtime, lambda tensor: 2 * tensor, (), IMAGENET)
    with pytest.warns(RuntimeWarning, match=r'cannot compute .*no such operation'):
        assert torch.equal(double(torch.ones(3)), torch.full((3,), 2.0))
    assert len(runtime.faults) == 1
    assert torch.equal(double(torch.ones(4)), torch.full((4,), 2.0))  # without a second warning


def test_an_answer_stays_as_it_is_for_as_long_as_it_is_held() -> None:
    double = Piece(OpenVinoRuntime(CPU, 'f32', 1), lambda tensor: 2 * tensor, (), IMAGENET)
    first = double(torch.ones(2, 3))
    view = first[0]
    del first
    others = [double(torch.full((2, 3), float(k))) for k in range(2, 5)]
    assert torch.equal(view, torch.full((3,), 2.0))
    assert [float(other[0, 0]) for other in others] == [4.0, 6.0, 8.0]


def test_a_graph_that_is_gone_leaves_no_weights_behind() -> None:
    work = torch.nn.Conv2d(3, 4, 3).requires_grad_(False)
    weights = weakref.ref(work.weight)
    model = converted(work, [torch.zeros(1, 3, 8, 8)])
    assert len(model.outputs) == 1
    del work, model
    gc.collect()
    assert weights() is None


def test_buffers_are_used_again_once_they_are_free() -> None:
    import openvino

    buffers = _Buffers((2, 3), openvino.Type.f32)
    held = torch.from_numpy(buffers.take().array)
    second = buffers.take()
    assert second.array is not held.numpy().base
    del held
    assert len({id(buffers.take().array) for _ in range(5)}) == 1


def test_a_precision_that_is_not_there_is_refused() -> None:
    with pytest.raises(VssError, match=r'precision int8: expected one that runtime torch has, f32, bf16'):
        build_segmenter(replace(PLAIN, runtime='torch', precision='int8'))


def test_a_precision_that_cannot_be_is_refused_before_anything_runs() -> None:
    with pytest.raises(VssError, match='precision int8: expected one that runtime torch has'):
        outline_segmenter(replace(PLAIN, runtime='torch', precision='int8'))
