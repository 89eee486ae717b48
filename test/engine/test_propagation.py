"""Every registered propagation; the paper's kernels."""

from __future__ import annotations

import pytest
import torch
from engine_parts import backbone, frame, low_of, propagation

from vss_ros.engine.propagation import PROPAGATIONS
from vss_ros.engine.propagation.spatially_variant_conv import SpatiallyVariantConv
from vss_ros.errors import VssError


@pytest.mark.parametrize('name', [member.name for member in PROPAGATIONS])
def test_shape_and_finite_values(name: str) -> None:
    net = backbone()
    with torch.inference_mode():
        key, low = low_of(net, frame(0)), low_of(net, frame(1))
        high = net.high(key)
        moved = propagation(net, name)(key, high, low)
    assert moved.shape == high.shape
    assert torch.isfinite(moved).all()


def test_kernels_sum_to_one() -> None:
    net = backbone()
    moved = propagation(net)
    assert isinstance(moved, SpatiallyVariantConv)
    with torch.inference_mode():
        key, low = (moved.prepare(low_of(net, frame(i))) for i in range(2))
        kernels = moved.kernels(key, low)
    assert kernels.shape[1] == 81
    assert torch.allclose(kernels.sum(1), torch.ones(1), atol=1e-5)


def test_strides_that_differ_are_refused() -> None:
    with pytest.raises(VssError, match='one stride'):
        SpatiallyVariantConv(8, 8, 4, 8)
