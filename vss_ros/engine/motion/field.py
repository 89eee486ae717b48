"""Motion fields: where the content of each cell was in an earlier frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, interpolate


@dataclass(frozen=True, slots=True)
class MotionField:
    """Motion from a frame back to an earlier one, in cells of a stated stride."""

    flow: Tensor
    """``(N, 2, h, w)`` float32, x then y: the content of cell ``(i, j)`` was at ``(i + y, j + x)``."""
    stride: int
    """Network input pixels per cell."""
    holes: Tensor | None = None
    """``(N, 1, h, w)`` bool, true where no motion is known and flow is a guess; None: known everywhere."""

    def at(self, stride: int) -> MotionField:
        """Return the field at another stride, its vectors in cells of that stride."""
        if stride == self.stride:
            return self
        if stride < self.stride:
            factor = self.stride // stride
            flow = interpolate(self.flow, scale_factor=factor, mode='bilinear', align_corners=False) * factor
            holes = None
            if self.holes is not None:
                holes = self.holes.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
            return MotionField(flow, stride, holes)
        factor = stride // self.stride
        if self.holes is None:
            return MotionField(avg_pool2d(self.flow, factor) / factor, stride)
        known = avg_pool2d((~self.holes).float(), factor)
        # The mean over the cells whose motion is known, of the guesses where none is.
        of_known = avg_pool2d(self.flow * ~self.holes, factor) / known.clamp_min(1e-6)
        flow = torch.where(known > 0, of_known, avg_pool2d(self.flow, factor)) / factor
        return MotionField(flow, stride, known < 0.5)

    def compose(self, earlier: MotionField) -> MotionField:
        """Return the motion over both steps; ``earlier``, of the same stride, starts where this one leads."""
        flow = self.flow + warp(earlier.flow, self.flow)
        holes = self.holes
        if earlier.holes is not None:
            moved = warp(earlier.holes.float(), self.flow) > 0.5
            holes = moved if holes is None else holes | moved
        return MotionField(flow, self.stride, holes)

    def warp(self, features: Tensor) -> Tensor:
        """Return the earlier frame's ``(N, C, h, w)`` features, of this stride, moved to the later frame."""
        return warp(features, self.flow)


def warp(features: Tensor, flow: Tensor) -> Tensor:
    """Return features moved along a motion field (Deep Feature Flow, Eq. 3; GSVNet, Eq. 1; TWNet, Eq. 4).

    Bilinear between cells; beyond the border the outermost cell repeats.

    Args:
        features: Earlier frame's ``(N, C, H, W)``; the answer has their shape and dtype.
        flow: ``(N, 2, H, W)``, x then y in cells: cell ``(i, j)`` takes ``(i + y, j + x)``.
    """
    height, width = features.shape[-2:]
    # float32 for features of every dtype: a half-precision grid is coarser than a cell of a large image.
    columns = torch.arange(width, device=flow.device, dtype=torch.float32).expand(height, width)
    rows = torch.arange(height, device=flow.device, dtype=torch.float32)[:, None].expand(height, width)
    scale = flow.new_tensor((2 / max(width - 1, 1), 2 / max(height - 1, 1)), dtype=torch.float32)
    grid = (flow.float().permute(0, 2, 3, 1) + torch.stack((columns, rows), -1)) * scale - 1
    return grid_sample(features.float(), grid, padding_mode='border', align_corners=True).to(features.dtype)
