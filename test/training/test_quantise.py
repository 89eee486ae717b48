"""int8 weights are made of trained ones, whole, and never of a network that loses too much by it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from data_trees import write_png
from runtime_parts import labels

from vss_ros.cli.main import main
from vss_ros.engine.build import build_module, build_segmenter, new_backbone
from vss_ros.engine.model_card import ModelCard, read_card, save_card, weights_path, write_card
from vss_ros.engine.network_export import ir_bytes
from vss_ros.engine.options import SegmenterConfig
from vss_ros.engine.runtimes.openvino import quantised_paths, read_quantised
from vss_ros.errors import VssError
from vss_ros.images.classes import load_classes
from vss_ros.recordings.open import open_source
from vss_ros.resources import resource
from vss_ros.training.quantise import quantised
from vss_ros.training.run import run_recipe

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = tuple(load_classes('camvid11').names)


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data set of four training images and two others, small."""
    root = tmp_path_factory.mktemp('data')
    with open_source(resource('test', 'data', 'street')) as source:
        for number, (frame, mask) in zip(range(6), source):  # noqa: B905 (six of many)
            assert mask is not None
            split = 'train' if number < 4 else 'val'
            write_png(root / split / f'{number}.png', frame.image[::2, ::2])
            write_png(root / f'{split}annot' / f'{number}.png', mask[::2, ::2])
    return root


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    """Return the card of a small network with random weights that states a score on ``camvid``."""
    torch.manual_seed(0)
    card = ModelCard(
        name='small', kind='backbone', builder='lernet', sha256='', parameters=0, classes='camvid11',
        class_names=NAMES, input_size=(180, 240), mean=(0.5,) * 3, std=(0.25,) * 3,
        scores={'camvid_val_miou': 0.0},
    )  # fmt: skip
    save_card(card, new_backbone(card), tmp_path / 'cards')
    return read_card(tmp_path / 'cards' / 'small.yaml')


def pretend(monkeypatch: pytest.MonkeyPatch, quantise: Callable[..., Any]) -> None:
    """Put a module in NNCF's place."""
    module = SimpleNamespace(
        __version__='0', quantize=quantise, Dataset=list, QuantizationPreset=SimpleNamespace(MIXED='mixed'),
        IgnoredScope=lambda names: names,
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, 'nncf', module)


def test_the_same_recipe_gives_the_same_bytes(card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO names what it makes by a number that counts on."""
    pretend(monkeypatch, lambda model, *_, **__: model)
    module = build_module(card).eval().requires_grad_(False)
    still = np.zeros((96, 128, 3), np.uint8)
    first, second = (ir_bytes(quantised(module, card, [still])) for _ in range(2))  # type: ignore[arg-type]
    assert first == second


def test_without_nncf_it_is_said_what_to_install(
    card: ModelCard, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, 'nncf', None)
    assert main(['models', 'quantise', card.path, '--data', f'camvid={data}']) == 2
    assert 'pip install nncf' in capsys.readouterr().err


def test_a_recipe_that_asks_for_int8_is_refused_before_it_trains(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, 'nncf', None)
    recipe = tmp_path / 'r.yaml'
    recipe.write_text('{stage: backbone, model: m, backbone: lernet, int8: 4, data: {camvid: train}}')
    with pytest.raises(VssError, match='pip install nncf'):
        run_recipe(recipe, {'camvid': data}, tmp_path / 'runs', tmp_path / 'cards', resume=False)


def test_a_training_ends_with_int8_weights(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def quantise(model: Any, stills: list[Any], **_: object) -> Any:
        seen.extend(still.shape for still in stills)
        return model

    pretend(monkeypatch, quantise)
    recipe = tmp_path / 'r.yaml'
    recipe.write_text(
        '{stage: backbone, model: m, backbone: lernet, int8: 3, epochs: 1, batch: 2, crop: [96, 96], '
        'data: {camvid: train}, evaluate: {camvid: val}}'
    )
    run_recipe(recipe, {'camvid': data}, tmp_path / 'runs', tmp_path / 'cards', resume=False)
    card = read_card(tmp_path / 'cards' / 'm.yaml')
    assert seen == [(1, 176, 240, 3)] * 3  # multiples of 8
    read_quantised(card)
    assert card.int8['made']['stills'] == 3
    assert card.int8['made']['data'] == {'camvid': {'split': 'train'}}
    scores = card.int8['scores']
    assert scores['same_labels'] > 0.99  # the substitute for NNCF changes nothing
    assert scores['camvid_val_miou_f32'] == pytest.approx(card.scores['camvid_val_miou'], abs=0.001)


@pytest.mark.parametrize('helps', [False, True])
def test_what_loses_too_much_is_not_written(
    helps: bool,
    tmp_path: Path,
    card: ModelCard,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With logits that are the wrong way round, unless both ends of the network stay as they are."""

    def broken(model: Any, _: object, *, ignored_scope: object, **__: object) -> Any:
        from openvino import opset13

        if helps and ignored_scope:
            return model
        result = model.get_results()[2]
        negative = opset13.negative(result.input_value(0))
        result.input(0).replace_source_output(negative.output(0))
        return model

    before = Path(card.path).read_bytes()
    pretend(monkeypatch, broken)
    segmenter = build_segmenter(SegmenterConfig(card.path, 'none', device='cpu', runtime='torch')).segmenter
    mine = Path(shutil.copytree(data, tmp_path / 'data'))
    with open_source(mine / 'val') as source:
        for frame, _ in source:  # labels are what the network answers, so that it scores 100 as it is
            write_png(mine / 'valannot' / f'{4 + frame.index}.png', segmenter.step(frame).labels)
    assert main(['models', 'quantise', card.path, '--data', f'camvid={mine}', '-n', '3']) == (not helps)
    assert 'mIoU, 0.3 is allowed' in capsys.readouterr().out
    if helps:
        assert read_card(card.path).int8['made']['full_precision']
        return
    assert Path(card.path).read_bytes() == before
    assert not any(path.exists() for path in quantised_paths(weights_path(card)))


def test_more_stills_than_there_are_is_refused(
    card: ModelCard, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch, lambda model, *_, **__: model)
    assert main(['models', 'quantise', card.path, '--data', f'camvid={data}', '-n', '5']) == 2
    assert 'expected 5 stills to calibrate with, got 4' in capsys.readouterr().err


@pytest.mark.slow
def test_nncf_makes_the_same_weights_twice(tmp_path: Path, data: Path) -> None:
    pytest.importorskip('nncf', reason='NNCF is not installed', exc_type=ImportError)
    shipped = read_card('lernet')
    shutil.copy(weights_path(shipped), tmp_path)
    write_card(
        shipped.model_copy(update={'int8': {}, 'scores': {}}), tmp_path
    )  # scores on four would be chance
    path = tmp_path / 'lernet.yaml'
    command = ['models', 'quantise', str(path), '--data', f'camvid={data}', '-n', '4']
    assert main(command) == 0
    first = read_card(path)
    assert set(first.int8) == {'sha256', 'made'}
    graph, weights = (file.read_bytes() for file in quantised_paths(weights_path(first)))
    assert len(weights) < 0.7 * weights_path(first).stat().st_size
    assert b'FakeQuantize' in graph
    assert str(tmp_path).encode() not in graph
    with open_source(data / 'val') as source:
        frames = [frame for frame, _ in source]
    config = SegmenterConfig(str(path), 'none', device='cpu', threads=1, runtime='openvino', precision='int8')
    reference = labels(replace(config, runtime='torch', precision='f32'), frames)
    assert (labels(config, frames) == reference).mean() > 0.95
    assert main(command) == 0
    again = quantised_paths(weights_path(first))[1].read_bytes()
    assert again == weights  # names in the graph are counted on
