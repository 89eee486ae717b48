"""Context pooled over grids of several sizes, as PSPNet and SwiftNet have it, and over the whole map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from vss_ros.engine.layers.blocks import conv_bn, resize_like

if TYPE_CHECKING:
    from collections.abc import Sequence


def pooled_conv_relu(in_channels: int, out_channels: int, grid: int) -> nn.Sequential:
    """Return a 1x1 convolution for a map pooled to ``grid`` cells a side.

    A global pool leaves one value to a channel, of which batch norm can't take a variance when a batch
    has one image; there the convolution has a bias instead.
    """
    if grid == 1:
        return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1), nn.ReLU(inplace=True))
    return nn.Sequential(*conv_bn(in_channels, out_channels, 1), nn.ReLU(inplace=True))


class GlobalContext(nn.Module):
    """The mean of each channel through a 1x1 convolution: ``(N, in, H, W) -> (N, out, 1, 1)``."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = pooled_conv_relu(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return one value per output channel."""
        return self.conv(x.mean((2, 3), keepdim=True))  # type: ignore[no-any-return]


class PyramidPooling(nn.Module):
    """The input beside its averages over several grids (Zhao et al. 2017, section 3.2).

    Args:
        in_channels: Channels of the input.
        level_channels: Channels of each level.
        grids: Cells a side (in height, where ``square`` is off) of each level.
        square: Whether a grid has as many columns as rows. SwiftNet's follow the input's aspect ratio.
    """

    def __init__(
        self, in_channels: int, level_channels: int, grids: Sequence[int], *, square: bool = True
    ) -> None:
        super().__init__()
        self.grids = tuple(grids)
        self.square = square
        self.out_channels = in_channels + len(self.grids) * level_channels
        self.levels = nn.ModuleList(pooled_conv_relu(in_channels, level_channels, g) for g in self.grids)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in, H, W)`` to ``(N, out_channels, H, W)``."""
        aspect = 1.0 if self.square else x.shape[-1] / x.shape[-2]
        parts = [x]
        for grid, level in zip(self.grids, self.levels, strict=True):
            columns = max(1, round(aspect * grid)) if grid > 1 else 1
            parts.append(resize_like(level(adaptive_avg_pool2d(x, (grid, columns))), x))
        return torch.cat(parts, 1)
