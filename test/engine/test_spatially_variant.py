"""Eq. 1 against a loop and against a convolution."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import pad

from vss_ros.engine.layers.spatially_variant import spatially_variant_convolution


def by_loop(features: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    """Return Eq. 1 written down literally."""
    side = round(kernels.shape[1] ** 0.5)
    padded = pad(features, (side // 2,) * 4, mode='replicate')
    result = torch.zeros_like(features)
    for i in range(features.shape[2]):
        for j in range(features.shape[3]):
            window = padded[:, :, i : i + side, j : j + side].flatten(2)
            result[:, :, i, j] = (window * kernels[:, None, :, i, j]).sum(2)
    return result


@pytest.mark.parametrize('side', [3, 9])
def test_agrees_with_a_loop(side: int) -> None:
    torch.manual_seed(0)
    features, kernels = torch.randn(2, 5, 7, 6), torch.randn(2, side * side, 7, 6)
    with torch.no_grad():
        assert torch.allclose(
            spatially_variant_convolution(features, kernels), by_loop(features, kernels), atol=1e-5
        )


def test_one_hot_kernel_shifts_exactly() -> None:
    features = torch.randn(1, 4, 12, 13)
    kernels = torch.zeros(1, 81, 12, 13)
    kernels[:, (4 + 2) * 9 + (4 - 3)] = 1.0  # the neighbour two rows below, three columns to the left
    moved = spatially_variant_convolution(features, kernels)
    assert torch.equal(moved[:, :, :10, 3:], features[:, :, 2:, :10])


def test_gradients() -> None:
    features = torch.randn(2, 3, 5, 6, dtype=torch.double, requires_grad=True)
    kernels = torch.randn(2, 9, 5, 6, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(spatially_variant_convolution, (features, kernels))
