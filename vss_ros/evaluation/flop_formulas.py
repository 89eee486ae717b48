"""How operations that PyTorch dispatches are counted: what its own counter leaves out, and by Table I."""

from __future__ import annotations

from math import prod
from typing import Any

import torch

from vss_ros.evaluation import table_flops

# Formulas get shapes in place of tensors, as torch.utils.flop_counter passes them.
Shape = tuple[int, ...]
aten = torch.ops.aten


def _addcmul(tensor: Shape, *_: Any, **__: Any) -> int:
    """Count one shift of the spatially variant convolution: a multiplication and an addition a value."""
    return 2 * prod(tensor)


def _warp(features: Shape, grid: Shape, *_: Any, **__: Any) -> int:
    return grid[0] * table_flops.bilinear_warp(features[1], (grid[1], grid[2]))


LEFT_OUT = {
    aten.addcmul_: _addcmul,
    aten.addcmul: _addcmul,
    aten.grid_sampler_2d: _warp,
}
"""What PyTorch's counter takes for free: warps and shifted sums."""


def _convolution(
    _: Shape,
    weight: Shape,
    *rest: Any,
    out_shape: Shape,
    **__: Any,
) -> int:
    transposed = rest[4]
    kernel, size = (weight[2], weight[3]), (out_shape[2], out_shape[3])
    if transposed:
        return out_shape[0] * table_flops.deconvolution(weight[0], out_shape[1], kernel, size)
    # weight[1] is the channels of one group, which makes a depthwise convolution count as one.
    return out_shape[0] * table_flops.convolution(weight[1], weight[0], kernel, size)


def _upsampling(*_: Any, out_shape: Shape, **__: Any) -> int:
    return out_shape[0] * table_flops.bilinear_upsampling(out_shape[1], (out_shape[2], out_shape[3]))


def _norm(features: Shape, *_: Any, **__: Any) -> int:
    return features[0] * table_flops.batch_normalisation(features[1], (features[2], features[3]))


def _relu(features: Shape, *_: Any, **__: Any) -> int:
    return table_flops.relu(prod(features[:-2]), (features[-2], features[-1])) if len(features) > 1 else 0


TABLE_FORMULAS = LEFT_OUT | {
    aten.convolution: _convolution,
    aten._convolution: _convolution,
    aten.upsample_bilinear2d: _upsampling,
    aten.upsample_bilinear2d.vec: _upsampling,  # without its overload it is taken apart unseen
    aten.native_batch_norm: _norm,
    aten._native_batch_norm_legit_no_training: _norm,
    aten.cudnn_batch_norm: _norm,
    aten.relu: _relu,
    aten.relu_: _relu,
    aten.leaky_relu: _relu,
    aten.leaky_relu_: _relu,
    aten.hardtanh: _relu,
    aten.hardtanh_: _relu,
}
"""Table I of the distortion-aware paper; what it does not list counts as PyTorch counts it."""
