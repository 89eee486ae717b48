"""Every registered propagation; the paper's kernels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from engine_parts import backbone, frame, propagation, view_of

from vss_ros.engine.propagation import PROPAGATIONS
from vss_ros.engine.propagation.base import Shapes
from vss_ros.engine.propagation.spatially_variant_conv import SpatiallyVariantConv
from vss_ros.engine.schedulers.fixed_interval import FixedInterval
from vss_ros.engine.view import View
from vss_ros.engine.whole_network import WholeNetwork


@pytest.mark.parametrize('name', [member.name for member in PROPAGATIONS])
def test_shape_and_finite_values(name: str) -> None:
    net = backbone()
    with torch.inference_mode():
        moves = propagation(net, name)
        network = WholeNetwork(net, moves, FixedInterval(net.low_channels))
        key, view = view_of(net, frame(0)), view_of(net, frame(1), before=frame(0))
        high = network.compute(network.entry(key))
        moved = moves(key, high, view)
    assert moved.shape == high.shape
    assert torch.isfinite(moved).all()


def test_kernels_sum_to_one() -> None:
    net = backbone()
    moved = propagation(net)
    assert isinstance(moved, SpatiallyVariantConv)
    with torch.inference_mode():
        key, low = (moved.prepare(view_of(net, frame(i))) for i in range(2))
        kernels = moved.kernels(key, low)
    assert kernels.shape[1] == 81
    assert torch.allclose(kernels.sum(1), torch.ones(1), atol=1e-5)


def test_kernels_are_predicted_where_strides_differ() -> None:
    moved = SpatiallyVariantConv(Shapes(8, 4, 8, 8))
    key, view = (View(np.empty(0, np.uint8), torch.empty(0), torch.randn(1, 8, 12, 16)) for _ in range(2))
    assert moved(key, torch.randn(1, 8, 6, 8), view).shape == (1, 8, 6, 8)
