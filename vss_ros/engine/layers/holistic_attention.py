"""How strongly every cell of a frame answers to all cells of another, without the table of all pairs."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 64
"""Key cells whose scores are held at a time; a CPU is fastest with these, as they stay in its cache."""


def pooled_correlations(key: Tensor, current: Tensor, block: int = BLOCK) -> Tensor:
    """Return max and mean of A over the key's cells (holistic attention paper, Eqs. 1 and 2).

    ``A[i, j]`` is the dot product of key cell i and current cell j. With N cells a frame the table has
    N x N entries, 67 million for the paper's 64 x 128 cells; at no time more than ``block`` x N of them
    exist here, forward or backward. The mean is linear, so it is the product with the mean key cell; the
    maximum runs over blocks of key cells. Its gradient goes to the pair that attained it. The operations
    are still those of all pairs, ``2 C N^2``: 0.5 G for the paper, 137 G for N of a large image at stride 4.

    Args:
        key: ``(N, C, h, w)`` float.
        current: ``(N, C, H, W)`` float.
        block: Key cells a block, 1 or more.

    Returns:
        ``(N, 2, H, W)``: maximum, then mean.

    """
    keys, cells = key.flatten(2), current.flatten(2)
    mean = (keys.mean(2, keepdim=True) * cells).sum(1)
    if torch.is_grad_enabled():
        best = _strongest(keys.detach(), cells.detach(), block)
        matched = keys.gather(2, best.unsqueeze(1).expand(-1, keys.shape[1], -1))
        highest = (matched * cells).sum(1)
    else:
        highest = _highest(keys, cells, block)
    pooled: Tensor = torch.stack((highest, mean), 1).unflatten(2, current.shape[-2:])
    return pooled


def _highest(keys: Tensor, cells: Tensor, block: int) -> Tensor:
    """Return the maximum of every current cell over all keys, ``(N, HW)``."""
    parts = [part.transpose(1, 2) for part in keys.split(block, 2)]
    highest: Tensor = torch.matmul(parts[0], cells).amax(1)
    for part in parts[1:]:
        torch.maximum(highest, torch.matmul(part, cells).amax(1), out=highest)
    return highest


def _strongest(keys: Tensor, cells: Tensor, block: int) -> Tensor:
    """Return which key cell every current cell answers to most, ``(N, HW)`` int64."""
    highest = cells.new_full((cells.shape[0], cells.shape[2]), -torch.inf)
    best = torch.zeros_like(highest, dtype=torch.int64)
    for number, part in enumerate(keys.split(block, 2)):
        value, index = torch.matmul(part.transpose(1, 2), cells).max(1)
        higher = value > highest
        best = torch.where(higher, index + number * block, best)
        highest = torch.where(higher, value, highest)
    return best
