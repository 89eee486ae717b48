"""Networks of the user's own: the same logits as outside, and a sentence for whatever doesn't fit."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from engine_parts import frame
from network_files import CLASSES, SIZE, Then, add, export, plain

from vss_ros.engine.backbones.external import External
from vss_ros.engine.backbones.network_answers import as_logits
from vss_ros.engine.build import build_module, build_segmenter
from vss_ros.engine.labels import argmax_upsampled
from vss_ros.engine.model_card import read_card, write_card
from vss_ros.engine.options import SegmenterConfig
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SUFFIXES = ('.onnx', '.pt2')


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with ``plain`` exported for any size, as ONNX and as a program, and their cards."""
    folder = tmp_path_factory.mktemp('networks')
    for suffix in SUFFIXES:
        file = export(plain(), folder / f'{suffix[1:]}{suffix}', dynamic=True)
        add(file, '--size', '48x64')
    return folder


@pytest.fixture(scope='module')
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the card of a program that takes one size only."""
    return add(export(plain(), tmp_path_factory.mktemp('fixed') / 'fixed.pt2'))


def loaded(card: Path) -> External:
    network = build_module(read_card(card))
    assert isinstance(network, External)
    return network


def image(size: tuple[int, int] = SIZE) -> torch.Tensor:
    """Return a normalised image in the memory layout that the segmenter hands over."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(1, 3, *size, generator=generator).to(memory_format=torch.channels_last)


@pytest.mark.parametrize('suffix', SUFFIXES)
@pytest.mark.parametrize('size', [SIZE, (96, 160)])
def test_the_logits_are_those_of_the_network(folder: Path, suffix: str, size: tuple[int, int]) -> None:
    network = loaded(folder / 'cards' / f'{suffix[1:]}.yaml')
    assert (network.logits_stride, network.high_stride, network.low_stride) == (4, 4, 1)
    assert (network.high_channels, network.low_channels, network.has_features) == (CLASSES, 3, False)
    assert network.fixed_size is None
    assert network.size_multiple == 16  # the greatest power of two that divides 48 and 64
    with torch.inference_mode():
        logits = network(image(size))
        assert logits.shape == (1, CLASSES, size[0] // 4, size[1] // 4)
        assert (logits - plain()(image(size))).abs().max() < 1e-4


def test_weights_in_a_second_file_are_put_into_the_copy(folder: Path) -> None:
    assert (folder / 'onnx.onnx.data').is_file()  # PyTorch's default
    assert not (folder / 'cards' / 'onnx.onnx.data').exists()
    card = read_card(folder / 'cards' / 'onnx.yaml')
    digest = hashlib.sha256((folder / 'onnx.onnx').read_bytes()).hexdigest()
    split = card.model_copy(update={'sha256': digest, 'path': str(folder / 'onnx.yaml')})
    with pytest.raises(VssError, match='vss models add'):
        build_module(split)


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_channels_and_range_are_as_the_network_was_trained(tmp_path: Path, suffix: str) -> None:
    card = add(
        export(plain(), tmp_path / f'net{suffix}'),
        *('--channels', 'bgr', '--range', '255', '--mean', '104', '117', '123', '--std', '1', '1', '1'),
    )
    config = SegmenterConfig(str(card), 'none', device='cpu', precision='f32')
    labels = build_segmenter(config).segmenter.step(frame(0)).labels

    def by_hand(order: int) -> NDArray[np.uint8]:
        pixels = torch.from_numpy(frame(0).image[..., ::order].astype(np.float32))
        with torch.no_grad():
            logits = plain()((pixels - torch.tensor([104.0, 117.0, 123.0])).movedim(-1, 0)[None])
        return argmax_upsampled(logits, SIZE)

    assert (labels == by_hand(-1)).mean() > 0.999
    assert (labels == by_hand(1)).mean() < 0.9


@pytest.mark.parametrize('kind', ['labels', 'float labels', 'dictionary'])
def test_labels_and_dictionaries_serve_as_logits(tmp_path: Path, kind: str) -> None:
    network = loaded(add(export(Then(plain(), kind), tmp_path / 'net.pt2')))
    with torch.inference_mode():
        assert torch.equal(network(image()).argmax(1), plain()(image()).argmax(1))


def test_onnx_labels_serve_as_logits(tmp_path: Path) -> None:
    network = loaded(add(export(Then(plain(), 'labels'), tmp_path / 'net.onnx')))
    with torch.inference_mode():
        assert torch.equal(network(image()).argmax(1), plain()(image()).argmax(1))


@pytest.mark.parametrize(
    ('kind', 'said'),
    [
        ('not finite', 'expected finite values'),
        ('flat', 'expected logits'),
        ('cropped', 'divided by'),
        ('probability', 'whole numbers from 0 to 10'),
    ],
)
def test_outputs_that_mean_nothing_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, said: str
) -> None:
    card = add(export(Then(plain(), kind), tmp_path / 'net.pt2'), exit_code=2)
    assert said in capsys.readouterr().err
    assert not card.parent.exists()  # nothing is left behind


def test_another_number_of_classes_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(export(plain(channels=7), tmp_path / 'net.pt2'), exit_code=2)
    assert '11 classes' in (said := capsys.readouterr().err)
    assert '(1, 7, 12, 16)' in said


@pytest.mark.parametrize('output', [torch.full((1, 4, 4), 11), torch.full((1, 1, 4, 4), -1.0)])
def test_labels_outside_the_table_are_refused(output: torch.Tensor) -> None:
    with pytest.raises(VssError, match='from 0 to 10'):
        as_logits(output, CLASSES)


def test_a_file_that_takes_one_size_is_run_at_that_size(fixed: Path) -> None:
    built = build_segmenter(SegmenterConfig(str(fixed), 'none', device='cpu'))
    assert built.card.input_size == SIZE
    result = built.segmenter.step(frame(0, size=(90, 200)))
    assert (result.labels.shape, result.size) == (SIZE, (90, 200))
    with pytest.raises(VssError, match=r'expected 48x64.*got 96x128.*use 48x64'):
        build_segmenter(SegmenterConfig(str(fixed), 'none', device='cpu', size=(96, 128)))


def test_a_card_of_another_size_than_the_file_is_refused(fixed: Path) -> None:
    with pytest.raises(VssError, match='48x64, the only one'):
        build_module(read_card(fixed).model_copy(update={'input_size': (96, 128)}))


def test_a_file_that_takes_any_size_needs_one_in_the_card(folder: Path) -> None:
    with pytest.raises(VssError, match='--size'):
        build_module(read_card(folder / 'cards' / 'pt2.yaml').model_copy(update={'input_size': (0, 0)}))
    config = SegmenterConfig(str(folder / 'cards' / 'pt2.yaml'), 'none', device='cpu')
    with pytest.raises(VssError, match='multiples of 16'):
        build_segmenter(replace(config, size=(50, 64)))
    built = build_segmenter(replace(config, size=(96, 96)))
    assert built.segmenter.step(frame(0, size=(120, 120))).labels.shape == (96, 96)


@pytest.mark.parametrize('damage', ['other bytes', 'no file', 'elsewhere', 'not a network', 'wrong suffix'])
def test_damaged_files_are_refused(fixed: Path, tmp_path: Path, damage: str) -> None:
    card = read_card(fixed).model_copy(update={'path': str(tmp_path / 'fixed.yaml')})
    data = (fixed.parent / 'fixed.pt2').read_bytes()
    if damage == 'other bytes':
        (tmp_path / 'fixed.pt2').write_bytes(data[:-1] + b'x')
        said = 'expected sha256'
    elif damage == 'no file':
        said = 'restore the file'
    elif damage == 'elsewhere':
        card, said = card.model_copy(update={'file': '../fixed.pt2'}), 'beside the card'
    else:
        name = 'fixed.onnx' if damage == 'not a network' else 'fixed.txt'
        (tmp_path / name).write_bytes(data)
        card = card.model_copy(update={'file': name})
        said = 'expected an ONNX network' if damage == 'not a network' else 'ending in .onnx or .pt2'
    with pytest.raises(VssError, match=said):
        build_module(card)


def test_an_unknown_channel_order_is_refused(fixed: Path) -> None:
    with pytest.raises(VssError, match='rgb or bgr'):
        build_module(read_card(fixed).model_copy(update={'channel_order': 'rbg'}))


def test_without_onnxruntime_the_message_names_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(VssError, match='pip install onnxruntime'):
        build_module(read_card(folder / 'cards' / 'onnx.yaml'))


def test_onnxruntime_takes_pytorchs_threads_and_lets_them_sleep() -> None:
    ort = pytest.importorskip('onnxruntime')
    from vss_ros.engine.network_files import session_options

    options = session_options(ort)
    assert options.intra_op_num_threads == torch.get_num_threads()
    assert options.get_session_config_entry('session.intra_op.allow_spinning') == '0'


@pytest.mark.parametrize(
    ('propagation', 'scheduler', 'said'),
    [
        ('spatially_variant_conv', 'fixed_interval', 'only propagation in segmentation space fits: '),
        ('flow_warp', 'predicted_deviation', 'only schedulers that look at none fit: '),
        ('flow_warp', 'feature_threshold', 'flow_residual'),
        ('nonsense', 'fixed_interval', 'no propagation is called'),
        ('reuse', 'nonsense', 'no scheduler is called'),
    ],
)
def test_parts_that_need_features_are_refused(
    fixed: Path, propagation: str, scheduler: str, said: str
) -> None:
    with pytest.raises(VssError, match=said):
        build_segmenter(SegmenterConfig(str(fixed), propagation, scheduler, device='cpu'))


@pytest.mark.parametrize('track', ['blocking', 'fast_slow'])
@pytest.mark.parametrize('suffix', SUFFIXES)
def test_a_stream_is_segmented_on_both_tracks(folder: Path, suffix: str, track: str) -> None:
    config = SegmenterConfig(
        str(folder / 'cards' / f'{suffix[1:]}.yaml'),
        *('flow_warp', 'fixed_interval'),
        interval=3,
        track=track,
        slow_delay=1,
        device='cpu',
    )
    segmenter = build_segmenter(config).segmenter
    results = [segmenter.step(frame(index)) for index in range(7)]
    assert [r.decision.is_key_frame for r in results] == [True, False, False] * 2 + [True]
    whole = build_segmenter(replace(config, propagation='none')).segmenter
    same = np.array_equal(results[0].labels, whole.step(frame(0)).labels)
    assert same == (track == 'blocking')  # the fast track begins at half the resolution


def test_the_card_survives_being_written_again(fixed: Path, tmp_path: Path) -> None:
    card = read_card(fixed)
    write_card(card, tmp_path)
    assert read_card(tmp_path / 'fixed.yaml').model_copy(update={'path': card.path}) == card


def step(card: Path, runtime: str) -> tuple[NDArray[np.uint8], list[str]]:
    """Return labels of one frame and what could not be computed as it was asked for."""
    built = build_segmenter(
        SegmenterConfig(str(card), 'none', device='cpu', runtime=runtime, precision='f32', threads=1)
    )
    return built.segmenter.step(frame(0)).labels.copy(), built.runtime.faults


def test_an_onnx_runs_in_openvino(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = folder / 'cards' / 'onnx.yaml'
    reference, _ = step(card, 'onnxruntime')
    # Where OpenVINO computes, ONNX Runtime is not opened.
    monkeypatch.setattr('vss_ros.engine.network_files.onnxruntime', None)
    labels, faults = step(card, 'openvino')
    assert faults == []
    assert (labels == reference).mean() > 0.999


def test_what_openvino_does_not_know_runs_in_onnxruntime_with_a_warning(tmp_path: Path) -> None:
    onnx = pytest.importorskip('onnx', reason='making an ONNX file needs onnx')
    file = export(plain(), tmp_path / 'net.onnx')
    model = onnx.load(file)
    (output,) = model.graph.output
    last = model.graph.node[-1]
    last.output[0] = 'logits'
    axis = onnx.numpy_helper.from_array(np.array(0, np.int32), 'axis')
    zero = onnx.numpy_helper.from_array(np.array([0], np.int64), 'zero')
    model.graph.initializer.extend([axis, zero])
    model.graph.node.extend([
        onnx.helper.make_node('ExpandDims', ['logits', 'axis'], ['wide'], domain='com.microsoft'),
        onnx.helper.make_node('Squeeze', ['wide', 'zero'], [output.name]),
    ])  # fmt: skip
    model.opset_import.append(onnx.helper.make_opsetid('com.microsoft', 1))
    (tmp_path / 'own').mkdir()
    onnx.save(model, tmp_path / 'own' / 'own.onnx')
    own = add(tmp_path / 'own' / 'own.onnx')
    reference, _ = step(add(file), 'onnxruntime')
    with pytest.warns(RuntimeWarning, match=r'openvino f32 cannot run own\.onnx .* ONNX Runtime computes'):
        labels, faults = step(own, 'openvino')
    assert len(faults) == 1
    assert (labels == reference).all()
