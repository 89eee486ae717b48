"""Floating-point operations by Table I of the distortion-aware paper, one function per kind of layer.

The table has four rows: convolution, bilinear upsampling, batch normalisation, ReLU. A multiplication and an
addition count as two; every convolution counts a bias, whether it has one or not. Kinds that the table
leaves out are read into its rows, as each function states. So read, the formulas give the paper's own
123.775 GFLOPs for CFNet within 0.03 % (Table II).
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    Shape = Sequence[int]

Size = tuple[int, int]
"""Height and width."""


def convolution(in_channels: int, out_channels: int, kernel: Size, out_size: Size) -> int:
    """Return the FLOPs of a convolution: ``2 H_o W_o (C_i K_h K_w + 1) C_o``.

    Args:
        in_channels: C_i, in a grouped convolution the channels of one group.
        out_channels: C_o, of all groups.
        kernel: K_h and K_w.
        out_size: H_o and W_o, after stride and padding.

    """
    return 2 * _cells(out_size) * (in_channels * _cells(kernel) + 1) * out_channels


def depthwise_convolution(channels: int, kernel: Size, out_size: Size) -> int:
    """Return the FLOPs of a depthwise convolution: the convolution's row with one input channel each.

    A separable convolution is this and ``convolution`` with a kernel of 1 x 1.

    Args:
        channels: Channels of input and output.
        kernel: K_h and K_w.
        out_size: H_o and W_o.

    """
    return convolution(1, channels, kernel, out_size)


def deconvolution(in_channels: int, out_channels: int, kernel: Size, out_size: Size) -> int:
    """Return the FLOPs of a transposed convolution: the convolution's row as it stands, by its output.

    This is what Table II counts for CFNet, and stride squared times what is computed: of the K_h x K_w
    taps, only those of one input cell in stride x stride meet an output cell.

    Args:
        in_channels: C_i.
        out_channels: C_o.
        kernel: K_h and K_w.
        out_size: H_o and W_o, before anything is cropped.

    """
    return convolution(in_channels, out_channels, kernel, out_size)


def bilinear_upsampling(out_channels: int, out_size: Size) -> int:
    """Return the FLOPs of bilinear upsampling: ``11 H_o W_o C_o``."""
    return 11 * _cells(out_size) * out_channels


def bilinear_warp(channels: int, size: Size) -> int:
    """Return the FLOPs of warping along a motion field: every value is interpolated, as in upsampling."""
    return bilinear_upsampling(channels, size)


def batch_normalisation(in_channels: int, in_size: Size) -> int:
    """Return the FLOPs of batch normalisation: ``2 H_i W_i C_i``."""
    return 2 * _cells(in_size) * in_channels


def relu(in_channels: int, in_size: Size) -> int:
    """Return the FLOPs of ReLU or leaky ReLU: ``H_i W_i C_i``."""
    return _cells(in_size) * in_channels


def _cells(size: Size) -> int:
    return size[0] * size[1]


def _convolution(
    in_shape: Shape,
    kernel: Shape,
    _bias: Shape | None,
    _stride: Shape,
    _padding: Shape,
    _dilation: Shape,
    transposed: bool,
    *_: Any,
    out_shape: Shape,
) -> int:
    """Count a convolution of PyTorch's; a plain kernel's second side is the channels of one group."""
    sides, size = (kernel[2], kernel[3]), (out_shape[2], out_shape[3])
    if transposed:
        return in_shape[0] * deconvolution(kernel[0], out_shape[1], sides, size)
    return in_shape[0] * convolution(kernel[1], out_shape[1], sides, size)


def _interpolation(*_: Any, out_shape: Shape, **__: Any) -> int:
    return prod(out_shape[:2]) * bilinear_upsampling(1, (out_shape[2], out_shape[3]))


def _norm(in_shape: Shape, *_: Any, **__: Any) -> int:
    return prod(in_shape[:2]) * batch_normalisation(1, (in_shape[2], in_shape[3]))


def _relu(in_shape: Shape, *_: Any, **__: Any) -> int:
    return prod(in_shape)


_ATEN = torch.ops.aten
TABLE_FORMULAS: dict[Any, Any] = {
    _ATEN.convolution: _convolution,
    _ATEN.upsample_bilinear2d: _interpolation,
    # By their own names too, or the counter would take them apart before it looks here.
    _ATEN.upsample_bilinear2d.default: _interpolation,
    _ATEN.upsample_bilinear2d.vec: _interpolation,
    _ATEN.grid_sampler_2d: _interpolation,
    _ATEN._native_batch_norm_legit_no_training: _norm,
    _ATEN.cudnn_batch_norm: _norm,
    **dict.fromkeys((_ATEN.relu, _ATEN.relu_, _ATEN.leaky_relu, _ATEN.leaky_relu_), _relu),
    **dict.fromkeys((_ATEN.hardtanh, _ATEN.hardtanh_), _relu),  # ReLU6
}
"""The same for PyTorch's ``FlopCounterMode(custom_mapping=...)``, for networks in evaluation mode."""
