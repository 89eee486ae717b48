"""The distortion-aware paper's networks: where propagated values are wrong, and what to put there."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vss_ros.engine.layers.blocks import conv_bn
from vss_ros.engine.layers.siamese import SiameseExtractor

EXTRACTOR = (4, 8, 16, 16)
"""Channels of DMNet's four separable convolutions."""
PAPER_WIDTH = 32
"""Channels of CFNet's first convolution beside the paper's DeepLabv3+."""
ENCODER = ((1, 2), (2, 2), (4, 2), (4, 1), (8, 2), (8, 1), (8, 2), (8, 1), (16, 2), (16, 1))
"""Width in units of the first convolution's, and stride, of CFNet's ten convolutions."""
DECODER = (8, 4, 2, 1)
"""Width in the same units of CFNet's four deconvolutions."""
SLOPE = 0.1
"""Leaky ReLU below zero."""


class DMNet(nn.Module):
    """Distortion map network (section III.B): M = (1 - S) / 2, S the similarity of two images (Eqs. 1, 2).

    The paper states neither widths nor resolution. Its 0.4 GFLOPs at 1024 x 2048 (Table II) are what the
    widths of the authors' published code, 4, 8 and 16, make at a quarter of the image's sides, where the
    propagated values lie too. That code's fourth layer is a plain 1x1 convolution (0.38 GFLOPs by Table
    I); the text's four separable ones are built, 0.46 GFLOPs.
    """

    def __init__(self) -> None:
        """Build the extractor."""
        super().__init__()
        self.extractor = SiameseExtractor(3, EXTRACTOR)

    def forward(self, warped: Tensor, image: Tensor) -> Tensor:
        """Return M ``(N, 1, H, W)``, 0 as it should be to 1 distorted, of two images ``(N, 3, H, W)``."""
        # Rounding takes the cosine of equal features just beyond 1.
        return ((1 - self.extractor.similarity(warped, image)) / 2).clamp(0, 1)


class CFNet(nn.Module):
    """Correction feature network (section III.C): what propagation cannot know, from the image alone.

    Ten 3x3 convolutions with batch norm and leaky ReLU down to stride 64, four 4x4 deconvolutions with
    leaky ReLU up to stride 4, each joined with the encoder's features of its stride, and a 1x1 convolution.
    The paper states no widths; 32 to 512, those of the authors' published code, are what Table II counts:
    by Table I, which takes a deconvolution for a convolution of its output's size, 123.7 of the stated
    123.775 GFLOPs at 1024 x 2048 (121.2 as built here, where deconvolutions are padded instead of cropped;
    63 of them are really computed). The last convolution starts at zero.

    Args:
        out_channels: Channels of the cues.
        width: Channels of the first convolution; the others are multiples of it.

    """

    def __init__(self, out_channels: int, width: int = PAPER_WIDTH) -> None:
        """Build encoder and decoder."""
        super().__init__()
        before = 3
        self.encoder = nn.ModuleList()
        skips = []
        for factor, stride in ENCODER:
            layer = nn.Sequential(*conv_bn(before, factor * width, 3, stride), nn.LeakyReLU(SLOPE, True))
            self.encoder.append(layer)
            before = factor * width
            skips.append(before)
        self.decoder = nn.ModuleList()
        # The last layers of strides 32, 16, 8 and 4.
        for factor, skip in zip(DECODER, skips[7::-2], strict=True):
            deconvolution = nn.ConvTranspose2d(before, factor * width, 4, 2, 1, bias=False)
            self.decoder.append(nn.Sequential(deconvolution, nn.LeakyReLU(SLOPE, True)))
            before = factor * width + skip
        self.predict = nn.Conv2d(before, out_channels, 1)
        nn.init.zeros_(self.predict.weight)
        nn.init.zeros_(self.predict.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        """Map an image ``(N, 3, H, W)`` to cues ``(N, out, ceil(H/4), ceil(W/4))``."""
        x = image
        skips = []
        for layer in self.encoder:
            x = layer(x)
            skips.append(x)
        for layer, skip in zip(self.decoder, skips[7::-2], strict=True):
            # Where the encoder rounded an odd side up, the deconvolution gives one row or column too many.
            x = torch.cat((skip, layer(x)[..., : skip.shape[-2], : skip.shape[-1]]), 1)
        return self.predict(x)  # type: ignore[no-any-return]


def correct(propagated: Tensor, cues: Tensor, distortion: Tensor) -> Tensor:
    """Return ``propagated * (1 - M) + cues * M`` (Eq. 4), exactly the one or the other where M is 0 or 1.

    Args:
        propagated: f_P ``(N, C, H, W)``.
        cues: f_CC, the same.
        distortion: M ``(N, 1, H, W)``.

    """
    return torch.lerp(propagated, cues, distortion)
