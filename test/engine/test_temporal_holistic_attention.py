"""Temporal holistic attention: attention in range, a start near reuse, shapes of every kind, the stream."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from engine_parts import backbone, frame, propagation, segmenter, view_of
from torch import Tensor

from vss_ros.engine.backbones import BACKBONES
from vss_ros.engine.propagation.base import Shapes, Space
from vss_ros.engine.propagation.temporal_holistic_attention import TemporalHolisticAttention
from vss_ros.engine.view import View


def seen(low: Tensor) -> View:
    """Return a view of which only F_l matters."""
    return View(np.empty(0, np.uint8), torch.empty(0), low)


def stirred(shapes: Shapes) -> TemporalHolisticAttention:
    """Return a module whose weights are no longer those it starts with."""
    torch.manual_seed(0)
    moves = TemporalHolisticAttention(shapes)
    with torch.no_grad():
        for parameter in moves.parameters():
            parameter.normal_(0, 0.1)
    return moves


def test_attention_is_between_zero_and_one_and_varies() -> None:
    moves = stirred(Shapes(16, 8, 12, 8))
    key, current = (moves.prepare(seen(torch.randn(2, 16, 6, 8))) for _ in range(2))
    attention = moves.attention(key, current)
    assert attention.shape == (2, 1, 6, 8)
    assert attention.min() > 0
    assert attention.max() < 1
    assert attention.std() > 0.01


def test_equations_3_and_4() -> None:
    moves = stirred(Shapes(16, 8, 12, 8))
    key, view, high = seen(torch.randn(1, 16, 6, 8)), seen(torch.randn(1, 16, 6, 8)), torch.rand(1, 12, 6, 8)
    attention = moves.attention(moves.prepare(key), moves.prepare(view))
    expected = (attention * high + moves.adapt(view.low)).clamp_min(0)
    assert torch.allclose(moves(key, high, view), expected, atol=1e-6)


@pytest.mark.parametrize(('low', 'channels'), [(16, 4), (128, 4), (1024, 32)])
def test_cells_are_compared_in_a_32nd_of_the_channels(low: int, channels: int) -> None:
    assert TemporalHolisticAttention(Shapes(low, 8, 12, 8)).reduce.out_channels == channels


def test_untrained_module_is_close_to_reuse() -> None:
    net = backbone()
    with torch.inference_mode():
        key, view = view_of(net, frame(0)), view_of(net, frame(1))
        high = net.high(key.low)
        moved = propagation(net, 'temporal_holistic_attention')(key, high, view)
    assert torch.allclose(moved, high * torch.tensor(3.0).sigmoid(), atol=1e-6)


def test_untrained_module_on_lernet_is_equation_4() -> None:
    torch.manual_seed(0)
    net = BACKBONES.get('lernet')(11).eval()
    with torch.inference_mode():
        key, view = view_of(net, frame(0)), view_of(net, frame(1))
        high = net.high(key.low)
        moved = propagation(net, 'temporal_holistic_attention')(key, high, view)
    assert torch.allclose(moved, view.low + high * torch.tensor(3.0).sigmoid(), atol=1e-5)


def test_lateral_channels_are_the_current_frames() -> None:
    torch.manual_seed(0)
    net = BACKBONES.get('swiftnet_r18')(11).eval()
    shapes = Shapes.of(net, Space.FEATURES)
    assert shapes.lateral_channels
    moves = stirred(shapes)
    with torch.inference_mode():
        key, view = view_of(net, frame(0)), view_of(net, frame(1))
        moved = moves(key, net.high(key.low), view)
        true = net.high(view.low)
    assert moved.shape == true.shape
    assert torch.equal(moved[:, -shapes.lateral_channels :], true[:, -shapes.lateral_channels :])


@pytest.mark.parametrize('high', [(3, 4), (12, 16)])
def test_other_strides(high: tuple[int, int]) -> None:
    moves = stirred(Shapes(16, 8, 12, 16 if high[0] == 3 else 4))
    key, view = (seen(torch.randn(1, 16, 6, 8)) for _ in range(2))
    assert moves(key, torch.rand(1, 12, *high), view).shape == (1, 12, *high)


def test_gradients_reach_all_parameters() -> None:
    moves = stirred(Shapes(16, 8, 12, 8))
    moves(
        seen(torch.randn(2, 16, 6, 8)), torch.rand(2, 12, 6, 8), seen(torch.randn(2, 16, 6, 8))
    ).sum().backward()
    for name, parameter in moves.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize('name', ['temporal_holistic_attention', 'warped_holistic_attention'])
def test_four_frames_of_a_stream(name: str) -> None:
    net = backbone()
    stream = segmenter(net, moved=propagation(net, name))
    results = [stream.step(frame(i)) for i in range(4)]
    assert [result.decision.is_key_frame for result in results] == [True, False, False, False]
    assert all(result.labels.shape == (48, 64) for result in results)
