"""Backbones that can be cut at three interior layers are one network whatever the cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from engine_parts import frame

from vss_ros.engine.backbones import BACKBONES
from vss_ros.engine.build import build_segmenter, part_card_name
from vss_ros.engine.model_card import ModelCard, save_card
from vss_ros.engine.options import SegmenterConfig
from vss_ros.engine.preprocess import IMAGENET
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from pathlib import Path

    from vss_ros.engine.backbones import Backbone

pytestmark = pytest.mark.usefixtures('one_thread')
NAMES = [member.name for member in BACKBONES if member.cls.interior_layers]


def cut(name: str, interior: int) -> Backbone:
    """Return a backbone with the same random weights wherever it is cut."""
    torch.manual_seed(0)
    return BACKBONES.get(name)(5, interior=interior).eval()  # type: ignore[call-arg]


@pytest.mark.parametrize('name', NAMES)
def test_the_whole_network_does_not_depend_on_the_cut(name: str) -> None:
    assert BACKBONES.get(name).interior == 2
    image = torch.randn(2, 3, 48, 64)
    nets = [cut(name, layer) for layer in BACKBONES.get(name).interior_layers]
    assert len(nets) == 3
    with torch.inference_mode():
        first, *others = (net(image) for net in nets)
        assert first.std() > 0
    for net, logits in zip(nets[1:], others, strict=True):
        assert list(net.state_dict()) == list(nets[0].state_dict())
        torch.testing.assert_close(logits, first, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize(('interior', 'stride'), [(1, 16), (2, 8), (3, 4)])
def test_shapes_are_as_declared_and_lateral_channels_shared(name: str, interior: int, stride: int) -> None:
    net = cut(name, interior)
    with torch.inference_mode():
        low = net.low(torch.randn(1, 3, 48, 64))
        high = net.high(low)
    assert net.low_stride == net.high_stride == stride
    assert low.shape == (1, net.low_channels, 48 // stride, 64 // stride)
    assert high.shape == (1, net.high_channels, 48 // stride, 64 // stride)
    assert net.size_multiple % stride == 0
    assert (net.lateral_channels == 0) is (interior == 3)
    if net.lateral_channels:
        assert torch.equal(low[:, -net.lateral_channels :], high[:, -net.lateral_channels :])


def test_a_segmenter_is_built_at_the_layer_asked_for(tmp_path: Path) -> None:
    card = ModelCard(
        name='tiny', kind='backbone', builder='mobilenet_fpn', sha256='', parameters=0, input_size=(48, 64),
        mean=IMAGENET.mean, std=IMAGENET.std, classes='camvid11', class_names=('a', 'b', 'c', 'd', 'e'),
    )  # fmt: skip
    save_card(card, cut('mobilenet_fpn', 2), tmp_path)
    model = str(tmp_path / 'tiny.yaml')
    config = SegmenterConfig(model=model, propagation='flow_warp', scheduler='fixed_interval', interior=1)
    stream = build_segmenter(config).segmenter
    assert stream.parts.backbone.high_stride == 16
    assert stream.step(frame(0)).labels.shape == (48, 64)
    stream.close()


def test_a_layer_that_is_not_offered_is_refused() -> None:
    with pytest.raises(VssError, match='can be cut at 0'):
        build_segmenter(SegmenterConfig(interior=1))
    with pytest.raises(VssError, match='expected one of'):
        cut('mobilenet_fpn', 4)


def test_parts_trained_at_another_layer_have_cards_of_their_own() -> None:
    card = ModelCard(name='tiny', kind='backbone', builder='mobilenet_fpn', sha256='', parameters=0)
    names = [part_card_name(card, 'tamed_warping', cut('mobilenet_fpn', layer)) for layer in (1, 2, 3)]
    assert names == ['tiny.tamed_warping@1', 'tiny.tamed_warping', 'tiny.tamed_warping@3']
