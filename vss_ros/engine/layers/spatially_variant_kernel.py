"""Spatially variant convolution as one fused kernel on CUDA; imported only where Triton is installed.

PyTorch's CUDA builds for Linux bring Triton with them. The plain version in ``spatially_variant`` is the
reference: 81 launches that each read and write the whole accumulator, where this reads every cell's window
from cache and writes once.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

CELLS, CHANNELS = 32, 32
"""Tile of one program: cells of a row by channels."""


@triton.jit  # type: ignore[untyped-decorator]
def _kernel(
    features: Any, kernels: Any, result: Any, channels: Any, height: Any, width: Any,
    f_batch: Any, f_channel: Any, f_row: Any, f_column: Any,
    k_batch: Any, k_weight: Any, k_row: Any, k_column: Any,
    r_batch: Any, r_channel: Any, r_row: Any, r_column: Any,
    side: tl.constexpr, cells: tl.constexpr, channel_block: tl.constexpr,
) -> None:  # fmt: skip
    tiles = tl.cdiv(width, cells)
    row = tl.program_id(0) // tiles
    column = (tl.program_id(0) % tiles) * cells + tl.arange(0, cells)
    channel = tl.program_id(1) * channel_block + tl.arange(0, channel_block)
    batch = tl.program_id(2)
    inside = column < width
    stored = inside[:, None] & (channel < channels)[None, :]
    total = tl.zeros((cells, channel_block), tl.float32)
    for k in range(side * side):
        # Clamped to the border: outermost cells repeat, as in the reference.
        y = tl.minimum(tl.maximum(row + k // side - side // 2, 0), height - 1)
        x = tl.minimum(tl.maximum(column + k % side - side // 2, 0), width - 1)
        weight = tl.load(
            kernels + batch * k_batch + k * k_weight + row * k_row + column * k_column, mask=inside, other=0.0
        )
        place = features + batch * f_batch + y * f_row + x[:, None] * f_column + channel[None, :] * f_channel
        value = tl.load(place, mask=stored, other=0.0)
        total += value.to(tl.float32) * weight.to(tl.float32)[:, None]
    place = result + batch * r_batch + row * r_row + column[:, None] * r_column + channel[None, :] * r_channel
    tl.store(place, total.to(result.dtype.element_ty), mask=stored)


def fused_spatially_variant_convolution(features: Tensor, kernels: Tensor) -> Tensor:
    """Apply Eq. 1 of the low-latency paper in one launch; arguments as ``spatially_variant_convolution``.

    Accumulates in float32; the answer has the dtype and memory format of ``features``, which may be any.
    """
    batch, channels, height, width = features.shape
    side = round(kernels.shape[1] ** 0.5)
    result = torch.empty_like(features)
    grid = (height * triton.cdiv(width, CELLS), triton.cdiv(channels, CHANNELS), batch)
    strides = (*features.stride(), *kernels.stride(), *result.stride())
    sizes = {'side': side, 'cells': CELLS, 'channel_block': CHANNELS}
    _kernel[grid](features, kernels, result, channels, height, width, *strides, **sizes)
    return result
