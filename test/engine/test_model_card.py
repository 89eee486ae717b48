"""Cards and weights: whole, proven by hash, never unpickled."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml
from torch import nn

from vss_ros.engine.build import build_segmenter
from vss_ros.engine.model_card import (
    ModelCard,
    load_weights,
    read_card,
    save_card,
    weights_path,
    write_card,
)
from vss_ros.engine.options import SegmenterConfig
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def saved(tmp_path: Path) -> tuple[ModelCard, nn.Sequential]:
    """Return a card on disk and the module it was made from."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    card = ModelCard(name='tiny', kind='backbone', builder='none', sha256='', parameters=0, input_size=(8, 8))
    return save_card(card, module, tmp_path), module


def test_round_trip(saved: tuple[ModelCard, nn.Module], tmp_path: Path) -> None:
    card, module = saved
    read = read_card(tmp_path / 'tiny.yaml')
    assert read.sha256 == card.sha256
    assert read.input_size == (8, 8)
    assert read.parameters == sum(p.numel() for p in module.parameters())
    other = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    load_weights(read, other)
    mine, theirs = other.state_dict(), module.state_dict()
    assert all(torch.equal(mine[name], tensor) for name, tensor in theirs.items())


def test_what_half_precision_holds_is_stored_so(tmp_path: Path) -> None:
    module = nn.Linear(64, 64)
    card = ModelCard(name='flat', kind='backbone', builder='none', sha256='', parameters=0)
    sizes = []
    for weight in (module.weight.data, module.weight.data.half().float()):
        module.weight.data = weight
        save_card(card, module, tmp_path)
        sizes.append((tmp_path / 'flat.safetensors').stat().st_size)
        other = nn.Linear(64, 64)
        load_weights(read_card(tmp_path / 'flat.yaml'), other)
        assert torch.equal(other.weight, module.weight)
        assert torch.equal(other.bias, module.bias)
    assert sizes[0] - sizes[1] == 2 * 64 * 64


def test_damaged_weights_are_refused(saved: tuple[ModelCard, nn.Module], tmp_path: Path) -> None:
    path = tmp_path / 'tiny.safetensors'
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(VssError, match='expected sha256'):
        load_weights(read_card(tmp_path / 'tiny.yaml'), saved[1])


@pytest.mark.parametrize(
    'change',
    [{'input_size': (0, 0)}, {'input_size': (16384, 16384)}, {'mean': ()}, {'std': (1.0, 0.0, 1.0)}],
)
def test_a_card_that_does_not_say_what_it_takes_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    card = read_card('efficientnet_lite0_fpn')
    shutil.copy(weights_path(card), tmp_path / f'{card.name}.safetensors')
    write_card(card.model_copy(update=change), tmp_path)
    with pytest.raises(VssError, match=r'expected (input_size|mean and std)'):
        build_segmenter(SegmenterConfig(str(tmp_path / f'{card.name}.yaml'), 'none', device='cpu'))


def test_missing_weights_are_refused(saved: tuple[ModelCard, nn.Module], tmp_path: Path) -> None:
    (tmp_path / 'tiny.safetensors').unlink()
    with pytest.raises(VssError, match='restore the file'):
        load_weights(read_card(tmp_path / 'tiny.yaml'), saved[1])


def test_weights_of_another_shape_are_refused(saved: tuple[ModelCard, nn.Module], tmp_path: Path) -> None:
    with pytest.raises(VssError, match='do not fit'):
        load_weights(read_card(tmp_path / 'tiny.yaml'), nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)))


def test_not_finite_weights_are_refused(tmp_path: Path) -> None:
    module = nn.Conv2d(1, 1, 1)
    nn.init.constant_(module.weight, float('nan'))
    card = ModelCard(name='nan', kind='backbone', builder='none', sha256='', parameters=0)
    save_card(card, module, tmp_path)
    with pytest.raises(VssError, match='NaN'):
        load_weights(read_card(tmp_path / 'nan.yaml'), nn.Conv2d(1, 1, 1))


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('[1, 2]', r'bad.yaml:1 expected a mapping'),
        ('a: : b', 'expected a readable model card file, got'),
        ('kind: other', "bad.yaml:1 kind: expected 'backbone', 'propagation', 'scheduler' or 'motion'"),
        ('name: 1', 'bad.yaml:1 name: expected text, got 1'),
        ('name: ../../x', 'bad.yaml:1 name: expected a file name without a folder'),
        ('name: "a\\0"', 'bad.yaml:1 name: expected a name without control characters'),
        ('input_size: [-8, 8]', r'input_size\[0\]: expected greater than or equal to 0, got -8'),
        ('name: x\nnam: y', 'bad.yaml:2 nam: expected one of .*; did you mean name'),
        ('name: x\npath: y', 'bad.yaml:2 path: expected no such key'),
        ('input_size: [1]', r'bad.yaml:1 input_size\[1\]: expected a value'),
        ('name: x', 'bad.yaml:1 sha256: expected a value, got none'),
    ],
)
def test_what_is_not_a_card_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / 'bad.yaml'
    path.write_text(text)
    with pytest.raises(VssError, match=said):
        read_card(path)


def test_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(VssError, match='no model card'):
        read_card('no_such_model')


def test_card_is_plain_yaml(saved: tuple[ModelCard, nn.Module], tmp_path: Path) -> None:
    assert yaml.safe_load((tmp_path / 'tiny.yaml').read_text())['kind'] == 'backbone'
    assert saved[0].path == ''
