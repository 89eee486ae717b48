"""Spatially variant convolution: every cell has a kernel of its own, shared by all channels."""

from __future__ import annotations

from importlib.util import find_spec
from math import isqrt
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad


def spatially_variant_convolution(features: Tensor, kernels: Tensor) -> Tensor:
    """Apply Eq. 1 of the low-latency paper.

    By shift-and-accumulate over views of one padded tensor: on a CPU tens of times faster than unfolding,
    and without its K^2-fold memory. On CUDA by one fused kernel, where Triton is installed. Borders repeat
    the outermost cells, so that weights summing to one keep a constant constant.

    Args:
        features: ``(N, C, H, W)``.
        kernels: ``(N, K*K, H, W)``, K odd; weight ``dy * K + dx`` belongs to the neighbour at row
            ``i + dy - K // 2``, column ``j + dx - K // 2``. (The paper writes ``i - u``; as the kernels are
            predicted, the sign is a matter of naming.)

    Returns:
        ``(N, C, H, W)``.
    """
    if not torch.is_grad_enabled():
        return _forward(features, kernels)
    return _SpatiallyVariantConvolution.apply(features, kernels)  # type: ignore[no-untyped-call,no-any-return]


def _views(padded: Tensor, side: int, height: int, width: int) -> list[Tensor]:
    return [padded[:, :, dy : dy + height, dx : dx + width] for dy in range(side) for dx in range(side)]


def _padded(features: Tensor, side: int) -> Tensor:
    return pad(features, (side // 2,) * 4, mode='replicate')


def _forward(features: Tensor, kernels: Tensor) -> Tensor:
    if features.is_cuda and find_spec('triton') is not None:
        from vss_ros.engine.layers.spatially_variant_kernel import fused_spatially_variant_convolution

        return fused_spatially_variant_convolution(features, kernels)
    return shift_and_accumulate(features, kernels)


def shift_and_accumulate(features: Tensor, kernels: Tensor) -> Tensor:
    """Apply Eq. 1 by K^2 views of one padded tensor; arguments as ``spatially_variant_convolution``."""
    side = isqrt(int(kernels.shape[1]))
    views = _views(_padded(features, side), side, *features.shape[-2:])
    result = views[0] * kernels[:, :1]
    for k, view in enumerate(views[1:], 1):
        result.addcmul_(view, kernels[:, k : k + 1])
    return result


class _SpatiallyVariantConvolution(torch.autograd.Function):
    """The same with a backward pass that keeps nothing but its two inputs."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, kernels: Tensor) -> Tensor:
        ctx.save_for_backward(features, kernels)
        return _forward(features, kernels)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        features, kernels = ctx.saved_tensors
        side = isqrt(kernels.shape[1])
        with torch.enable_grad():
            source = features.detach().requires_grad_()
            padded = _padded(source, side)
        to_kernels = to_features = None
        if ctx.needs_input_grad[1]:
            to_kernels = _correlate(gradient, padded.detach(), side)
        if ctx.needs_input_grad[0]:
            spread = torch.zeros_like(padded)
            for k, view in enumerate(_views(spread, side, *features.shape[-2:])):
                view.addcmul_(gradient, kernels[:, k : k + 1])
            (to_features,) = torch.autograd.grad(padded, source, spread)
        return to_features, to_kernels


def _correlate(gradient: Tensor, padded: Tensor, side: int) -> Tensor:
    """Return ``(N, K*K, H, W)`` dot products of every cell with the K*K padded cells around it.

    As one matrix product per row, of which only the band near the diagonal is kept: the product wastes
    most of what it computes and is still seven times faster than K*K reductions over shifted views.
    """
    batch, channels, height, width = gradient.shape
    wide = width + side - 1
    cells = padded.permute(0, 2, 3, 1).contiguous()
    rows = cells.as_strided(
        (batch, height, side * wide, channels), (cells.stride(0), wide * channels, channels, 1)
    )
    products = gradient.permute(0, 2, 3, 1).matmul(rows.transpose(-1, -2)).contiguous()
    span = side * wide
    band = products.as_strided(
        (batch, height, width, side, side), (height * width * span, width * span, span + 1, wide, 1)
    )
    return band.permute(0, 3, 4, 1, 2).reshape(batch, side * side, height, width)
