"""TWNet's non-key-frame network: warping, correction, attention, lateral channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from engine_parts import backbone, frame, propagation, segmenter, view_of
from torch import nn

from vss_ros.engine.backbones import BACKBONES
from vss_ros.engine.build import build_module, part_card_name
from vss_ros.engine.labels import argmax_upsampled
from vss_ros.engine.model_card import ModelCard, read_card, save_card
from vss_ros.engine.motion import MotionField
from vss_ros.engine.propagation.base import Shapes, Space
from vss_ros.engine.propagation.tamed_warping import TamedWarping, consistency_loss
from vss_ros.engine.view import View

if TYPE_CHECKING:
    from pathlib import Path

    from vss_ros.engine.backbones import Backbone

pytestmark = pytest.mark.usefixtures('one_thread')
IMAGE = (48, 64)


def tamed(net: Backbone, *, trained: bool = False) -> TamedWarping:
    """Return the propagation of a backbone; as if trained, its residual is not zero."""
    torch.manual_seed(0)
    moves = TamedWarping(Shapes.of(net, Space.FEATURES)).eval()
    if trained:
        nn.init.normal_(moves.rectify.weight, 0, 0.1)
    return moves


def interior(layer: int) -> Backbone:
    torch.manual_seed(0)
    return BACKBONES.get('mobilenet_fpn')(5, interior=layer).eval()  # type: ignore[call-arg]


def two_views(net: Backbone) -> tuple[View, View, torch.Tensor]:
    """Return a key frame, the next frame with its motion, and the key frame's F_h."""
    with torch.inference_mode():
        key, view = view_of(net, frame(0)), view_of(net, frame(1), before=frame(0))
        return key, view, net.high(key.low)


@pytest.mark.parametrize('layer', [1, 2, 3])
def test_without_correction_it_is_pure_warping_beside_the_current_lateral_channels(layer: int) -> None:
    net = interior(layer)
    key, view, high = two_views(net)
    with torch.inference_mode():
        moved = tamed(net)(key, high, view)
        warped = view.motion.at(net.high_stride).warp(high)
    own = net.high_channels - net.lateral_channels
    assert moved.shape == high.shape
    assert torch.equal(moved[:, :own], warped[:, :own])
    assert torch.equal(moved[:, own:], view.low[:, net.low_channels - net.lateral_channels :])
    if net.lateral_channels:
        assert not torch.equal(moved[:, own:], warped[:, own:])


def test_a_backbone_without_lateral_channels_has_all_features_warped() -> None:
    net = backbone()
    assert net.lateral_channels == 0
    key, view, high = two_views(net)
    with torch.inference_mode():
        assert torch.equal(tamed(net)(key, high, view), view.motion.at(net.high_stride).warp(high))


def test_attention_gates_the_residual() -> None:
    net = interior(2)
    key, view, high = two_views(net)
    moves = tamed(net, trained=True)
    own = net.high_channels - net.lateral_channels
    assert moves.attend.bias is not None
    with torch.inference_mode():
        warped = view.motion.at(8).warp(high)[:, :own]
        residual = moves.rectify(torch.cat((warped, moves.reduce(view.low[:, : moves.spatial])), 1))
        moves.attend.weight.zero_()
        for bias, gate in ((-1e4, 0.0), (0.0, 0.5), (1e4, 1.0)):
            moves.attend.bias.fill_(bias)
            moved = moves(key, high, view)[:, :own]
            torch.testing.assert_close(moved, torch.relu(warped + gate * residual))
    assert (residual.abs() > 0.01).any()


def test_attention_looks_where_the_motion_does_not_explain_the_image() -> None:
    moves = TamedWarping(Shapes(8, 8, 8, 8))
    with torch.no_grad():
        moves.attend.weight.fill_(1)
    before = torch.randn(1, 3, *IMAGE)
    after = before.roll(8, -1)  # the content moves 8 pixels to the right ...
    after[..., 16:32, 24:40] = 5  # ... and something appears
    field = MotionField(torch.zeros(1, 2, 12, 16), 4)
    field.flow[:, 0] = -2
    view = View(np.zeros((1, *IMAGE, 3), np.uint8), after, motion=field)
    with torch.inference_mode():
        source = moves.prepare(View(view.pixels, before))
        attention = moves.attention(source, moves.prepare(view), view)[0, 0]
    assert attention.shape == (6, 8)
    explained = moves.attend.bias.sigmoid().item()  # type: ignore[union-attr]
    assert attention[0, 4].item() == pytest.approx(explained, abs=1e-4)
    assert (attention[2:4, 3:5] > explained + 0.05).all()


def test_features_stay_what_a_relu_leaves() -> None:
    net = interior(2)
    key, view, high = two_views(net)
    with torch.inference_mode():
        moved = tamed(net, trained=True)(key, high, view)
        warped = tamed(net)(key, high, view)
    assert moved.min() == 0
    assert not torch.equal(moved, warped)


@pytest.mark.parametrize(('low_stride', 'high_stride'), [(4, 8), (8, 4), (16, 8)])
def test_strides_may_differ(low_stride: int, high_stride: int) -> None:
    moves = TamedWarping(Shapes(6, low_stride, 8, high_stride))
    low = torch.randn(1, 6, IMAGE[0] // low_stride, IMAGE[1] // low_stride)
    field = MotionField(torch.randn(1, 2, 12, 16), 4)
    view = View(np.zeros((1, *IMAGE, 3), np.uint8), torch.randn(1, 3, *IMAGE), low, field)
    high = torch.rand(1, 8, IMAGE[0] // high_stride, IMAGE[1] // high_stride)
    assert moves(view, high, view).shape == high.shape


def test_what_is_kept_of_a_frame_outlives_its_buffers() -> None:
    moves = TamedWarping(Shapes(8, 8, 8, 8))
    image = torch.randn(1, 3, *IMAGE)
    kept = moves.prepare(View(np.zeros((1, *IMAGE, 3), np.uint8), image))
    as_it_was = kept.clone()
    image.zero_()
    assert torch.equal(kept, as_it_was)


def test_in_a_stream() -> None:
    net = backbone()
    moves = propagation(net, 'tamed_warping')
    stream = segmenter(net, moved=moves)
    results = [stream.step(frame(i)) for i in range(4)]
    assert [r.decision.is_key_frame for r in results] == [True, False, False, False]
    key, view, high = two_views(net)
    with torch.inference_mode():
        wanted = argmax_upsampled(net.head(moves(key, high, view)), IMAGE)
    assert np.array_equal(results[1].labels, wanted)


def test_a_card_says_by_its_name_which_interior_layer_it_was_trained_at(tmp_path: Path) -> None:
    net = interior(1)
    card = ModelCard(
        name='tiny',
        kind='backbone',
        builder='mobilenet_fpn',
        sha256='',
        parameters=0,
        class_names=('a', 'b', 'c', 'd', 'e'),
    )
    base = save_card(card, net, tmp_path)
    name = part_card_name(base, 'tamed_warping', net)
    assert name == 'tiny.tamed_warping@1'
    part = ModelCard(
        name=name,
        kind='propagation',
        builder='tamed_warping',
        sha256='',
        parameters=0,
        base='tiny',
        base_sha256=base.sha256,
    )
    trained = tamed(net, trained=True)
    save_card(part, trained, tmp_path)
    module = build_module(read_card(tmp_path / f'{name}.yaml'))
    assert isinstance(module, TamedWarping)
    assert module.shapes == trained.shapes
    torch.testing.assert_close(module.rectify.weight, trained.rectify.weight, rtol=1e-3, atol=1e-3)


def test_consistency_is_ten_times_the_mean_squared_difference() -> None:
    true = torch.randn(2, 4, 3, 5)
    assert consistency_loss(true, true) == 0
    assert consistency_loss(true + 2, true).item() == pytest.approx(10 * 4, rel=1e-5)


def test_lateral_channels_do_not_count_for_consistency() -> None:
    corrected = torch.zeros(1, 4, 3, 5)
    true = torch.zeros(1, 4, 3, 5)
    true[:, 0], true[:, 3] = 1, 7
    assert consistency_loss(corrected, true, lateral_channels=1).item() == pytest.approx(10 / 3)


def test_the_whole_network_learns_nothing_from_consistency() -> None:
    corrected, true = (torch.randn(1, 4, 3, 5, requires_grad=True) for _ in range(2))
    consistency_loss(corrected, true).backward()
    assert corrected.grad is not None
    torch.testing.assert_close(corrected.grad, 10 * 2 / 60 * (corrected - true).detach())
    assert true.grad is None
