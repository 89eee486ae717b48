"""From camera pixels to what a network eats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Per-channel statistics of RGB in 0..1."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def normalise(images: Tensor, statistics: Normalisation) -> Tensor:
    """Map RGB ``(N, H, W, 3)`` uint8 to normalised ``(N, 3, H, W)`` float32 in channels-last memory.

    The pixels keep their order in memory (H, W, C is what channels-last means), so nothing is transposed.
    """
    mean = torch.tensor(statistics.mean, device=images.device) * 255.0
    scale = 1.0 / (torch.tensor(statistics.std, device=images.device) * 255.0)
    return images.to(torch.float32).sub_(mean).mul_(scale).movedim(-1, 1)
