"""One extractor for two images that are to be compared."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from vss_ros.engine.layers.blocks import separable_conv


class SiameseExtractor(nn.Module):
    """Separable convolutions with batch norm and ReLU between them, the same weights for both images.

    The last has no ReLU: features without negative values could not be less similar than 0, and cosine
    similarity would use half its range.

    Args:
        in_channels: Channels of the images.
        widths: Channels of the convolutions.

    """

    def __init__(self, in_channels: int, widths: tuple[int, ...]) -> None:
        """Build one extractor."""
        super().__init__()
        blocks = [separable_conv(before, after) for before, after in pairwise((in_channels, *widths))]
        self.layers = nn.Sequential(*blocks[:-1], blocks[-1][:-1])

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of two ``(N, in, H, W)``, each ``(N, widths[-1], H, W)``; one pass for both."""
        both: Tensor = self.layers(torch.cat((first, second)))
        one, other = both.chunk(2)
        return one, other

    def similarity(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the cosine similarity of every cell's features, ``(N, 1, H, W)`` in -1..1."""
        one, other = self(first, second)
        return cosine_similarity(one, other, dim=1).unsqueeze(1)
