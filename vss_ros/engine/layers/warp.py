"""Backward warping: each cell takes what lay where its motion points."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import grid_sample


def warp(features: Tensor, flow: Tensor) -> Tensor:
    """Return features moved along a motion field (Deep Feature Flow, Eq. 3; GSVNet, Eq. 1; TWNet, Eq. 4).

    Bilinear between cells; beyond the border the outermost cell repeats.

    Args:
        features: Earlier frame's ``(N, C, H, W)``.
        flow: ``(N, 2, H, W)``, x then y in cells: cell ``(i, j)`` takes ``(i + y, j + x)``.

    Returns:
        ``(N, C, H, W)`` in the dtype of ``features``.
    """
    height, width = features.shape[-2:]
    # float32 whatever the features are: a half-precision grid is coarser than a cell of a large image.
    columns = torch.arange(width, device=flow.device, dtype=torch.float32)
    rows = torch.arange(height, device=flow.device, dtype=torch.float32)
    x = (flow[:, 0].float() + columns) * (2 / max(width - 1, 1)) - 1
    y = (flow[:, 1].float() + rows[:, None]) * (2 / max(height - 1, 1)) - 1
    grid = torch.stack((x, y), -1)
    return grid_sample(features.float(), grid, padding_mode='border', align_corners=True).to(features.dtype)
