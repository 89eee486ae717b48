"""LERNet: the backbone of temporal holistic attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vss_ros.engine.backbones.base import BACKBONES, Backbone
from vss_ros.engine.layers.blocks import conv_bn, depthwise_bn

DILATIONS = (1, 2, 5, 9, 2, 5, 9)
"""Dilations of the seven blocks at stride 8 (Table 1)."""
DROPOUT = (0.03, 0.3)
"""Dropout at strides 2 and 4, and at stride 8."""


class Downsampling(nn.Module):
    """A strided 3x3 convolution concatenated with a 2x2 max pool (section 3.2)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            *conv_bn(in_channels, out_channels - in_channels, 3, 2), nn.ReLU(inplace=True)
        )
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in, H, W)`` to ``(N, out, H/2, W/2)``; H and W are even."""
        return torch.cat((self.conv(x), self.pool(x)), 1)


class RDDSBlock(nn.Module):
    """Residual double-branched depthwise separable block (section 3.2, Fig. 1)."""

    def __init__(self, channels: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.left = _branch(channels, dilation, dropout)
        self.right = _branch(channels, dilation, dropout)
        self.reduce = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` to the same shape."""
        return torch.relu(x + self.reduce(torch.cat((self.left(x), self.right(x)), 1)))


def _branch(channels: int, dilation: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        *depthwise_bn(channels),
        nn.Conv2d(channels, channels, 1),
        nn.ReLU(inplace=True),
        *depthwise_bn(channels, dilation=dilation),
        nn.Conv2d(channels, channels, 1),
        nn.Dropout2d(dropout),
    )


@BACKBONES.register('lernet', paper='Wu et al. 2020, Feature Propagation with Holistic Attention')
class LERNet(Backbone):
    """LERNet: light encoder of double-branched separable blocks, 1x1 decoder.

    Split after the third downsampler. Section 3.3 says "after the second downsampling block" and gives
    128 x 64 x 128 for a 512 x 1024 image, which is the output of the third one in Table 1; Eqs. 3 and 4
    need both features in one shape, and only that split has it.

    Section 3.2 describes two 1x1 convolutions to a branch; so built, the network has 0.86 M parameters,
    where Table 2 says 0.65 M (0.60 M without the second one). The text is followed. Left open there and
    decided here: the downsampler's convolution has batch norm and ReLU, while the pooled half passes as it
    is; 1x1 convolutions have biases, since no batch norm follows them; dropout takes LEDNet's rates. Table
    1's upsampling by 8 is left out: labels are scaled after the network.
    """

    low_channels = 128
    low_stride = 8
    high_channels = 128
    high_stride = 8
    logits_stride = 8
    size_multiple = 8

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.shallow = nn.Sequential(
            Downsampling(3, 32),
            *(RDDSBlock(32, 1, DROPOUT[0]) for _ in range(3)),
            Downsampling(32, 64),
            *(RDDSBlock(64, 1, DROPOUT[0]) for _ in range(2)),
            Downsampling(64, 128),
        )
        self.deep = nn.Sequential(*(RDDSBlock(128, dilation, DROPOUT[1]) for dilation in DILATIONS))
        self.classify = nn.Conv2d(128, classes, 1)

    def low(self, image: Tensor) -> Tensor:
        """Return F_l ``(N, 128, H/8, W/8)``."""
        return self.shallow(image)  # type: ignore[no-any-return]

    def high(self, low: Tensor) -> Tensor:
        """Return F_h ``(N, 128, H/8, W/8)``."""
        return self.deep(low)  # type: ignore[no-any-return]
