"""Motion fields: where the content of each cell was in an earlier frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from vss_ros.engine.layers.warp import warp


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
        """Return the motion over both steps.

        Args:
            earlier: From the frame this field leads to, to one before it; of the same stride.
        """
        flow = self.flow + warp(earlier.flow, self.flow)
        holes = self.holes
        if earlier.holes is not None:
            moved = warp(earlier.holes.float(), self.flow) > 0.5
            holes = moved if holes is None else holes | moved
        return MotionField(flow, self.stride, holes)

    def warp(self, features: Tensor) -> Tensor:
        """Return the earlier frame's ``(N, C, h, w)`` features, of this stride, moved to the later frame."""
        return warp(features, self.flow)
