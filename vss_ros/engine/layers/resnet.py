"""Residual networks (He et al. 2016) in pieces, so that a backbone can be cut between any two blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vss_ros.engine.layers.blocks import conv_bn

EXPANSION = 4
"""Output channels of a bottleneck block for each channel inside it."""


class Residual(nn.Module):
    """A residual block: body and shortcut are added, ReLU follows.

    Args:
        body: Maps ``(N, in, H, W)`` to ``(N, out, ceil(H/stride), ceil(W/stride))``.
        in_channels: Channels that come in.
        out_channels: Channels that the body returns.
        stride: The body's stride; the shortcut is a 1x1 projection where shapes differ.
    """

    def __init__(self, body: nn.Sequential, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.body = body
        same = stride == 1 and in_channels == out_channels
        projection = [] if same else conv_bn(in_channels, out_channels, 1, stride)
        self.shortcut = nn.Sequential(*projection)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in, H, W)`` to ``(N, out, ceil(H/stride), ceil(W/stride))``."""
        return torch.relu(self.body(x) + self.shortcut(x))


def stem() -> nn.Sequential:
    """Return conv1 and its max pool: ``(N, 3, H, W) -> (N, 64, ceil(H/4), ceil(W/4))``."""
    return nn.Sequential(*conv_bn(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))


def basic_stage(in_channels: int, out_channels: int, blocks: int, stride: int) -> nn.Sequential:
    """Return a stage of two-convolution blocks, as ResNet-18 and -34 have them.

    ``(N, in, H, W) -> (N, out, ceil(H/stride), ceil(W/stride))``; the first block strides.
    """

    def block(channels: int, step: int) -> Residual:
        body = nn.Sequential(
            *conv_bn(channels, out_channels, 3, step),
            nn.ReLU(inplace=True),
            *conv_bn(out_channels, out_channels),
        )
        return Residual(body, channels, out_channels, step)

    rest = (block(out_channels, 1) for _ in range(blocks - 1))
    return nn.Sequential(block(in_channels, stride), *rest)


def bottleneck_stage(
    in_channels: int, width: int, blocks: int, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Return a stage of three-convolution blocks, as ResNet-50 and -101 have them.

    ``(N, in, H, W) -> (N, 4 * width, ceil(H/stride), ceil(W/stride))``. The 3x3 convolution strides, and
    all of them are dilated, the first block's too, as PSPNet has it.
    """
    out_channels = EXPANSION * width

    def block(channels: int, step: int) -> Residual:
        body = nn.Sequential(
            *conv_bn(channels, width, 1),
            nn.ReLU(inplace=True),
            *conv_bn(width, width, 3, step, dilation),
            nn.ReLU(inplace=True),
            *conv_bn(width, out_channels, 1),
        )
        return Residual(body, channels, out_channels, step)

    rest = (block(out_channels, 1) for _ in range(blocks - 1))
    return nn.Sequential(block(in_channels, stride), *rest)
