"""DeepLabv3+ on Xception-65: the image network of the distortion-aware paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle, relu

from vss_ros.engine.backbones.base import BACKBONES, Backbone
from vss_ros.engine.layers.blocks import (
    GlobalContext,
    conv_bn,
    conv_bn_relu,
    depthwise_bn,
    resize_like,
    separable_conv,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 256
"""Channels of the atrous pyramid and of the decoder."""
DETAIL = 48
"""Channels that the decoder takes from stride 4."""
RATES = (6, 12, 18)
"""Dilations of the atrous pyramid at output stride 16."""


def _separable(in_channels: int, out_channels: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Return depthwise and 1x1 convolution with batch norm each and no ReLU between."""
    return nn.Sequential(*depthwise_bn(in_channels, stride, dilation), *conv_bn(in_channels, out_channels, 1))


class XceptionBlock(nn.Module):
    """A block of the aligned Xception-65 (Chen et al. 2018, Fig. 4).

    Three separable convolutions of ``widths`` output channels, each after a ReLU, of which the last strides,
    and a shortcut around them.
    """

    def __init__(self, in_channels: int, widths: Sequence[int], stride: int = 1) -> None:
        super().__init__()
        first, second, last = widths
        self.first = _separable(in_channels, first)
        self.second = _separable(first, second)
        self.last = _separable(second, last, stride)
        same = stride == 1 and in_channels == last
        self.shortcut = nn.Sequential(*([] if same else conv_bn(in_channels, last, 1, stride)))

    def early(self, x: Tensor) -> Tensor:
        """Return the second convolution's output ``(N, widths[1], H, W)``, which has the input's stride."""
        return self.second(relu(self.first(relu(x))))  # type: ignore[no-any-return]

    def late(self, x: Tensor, early: Tensor) -> Tensor:
        """Return the block's output from its input and ``early(x)``."""
        return self.last(relu(early)) + self.shortcut(x)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in, H, W)`` to ``(N, widths[2], ceil(H/stride), ceil(W/stride))``."""
        return self.late(x, self.early(x))


class AtrousPyramid(nn.Module):
    """Atrous spatial pyramid pooling: five views of the input side by side, reduced to 256 channels."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.pointwise = conv_bn_relu(in_channels, WIDTH, 1)
        self.atrous = nn.ModuleList(separable_conv(in_channels, WIDTH, dilation=rate) for rate in RATES)
        self.pooled = GlobalContext(in_channels, WIDTH)
        self.reduce = conv_bn_relu((len(RATES) + 2) * WIDTH, WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in, H, W)`` to ``(N, 256, H, W)``."""
        pooled = self.pooled(x).expand(-1, -1, *x.shape[-2:])
        views = (pooled, self.pointwise(x), *(branch(x) for branch in self.atrous))
        return self.reduce(torch.cat(views, 1))  # type: ignore[no-any-return]


@BACKBONES.register('deeplabv3plus', paper='Chen et al. 2018; used by Zhuang et al. 2021, Distortion-Aware')
class DeepLabV3Plus(Backbone):
    """DeepLabv3+ with the aligned Xception-65 at output stride 16.

    The distortion-aware paper (section III.A) names DeepLabv3+ and not its encoder, but speaks of "entry
    flow block2" (section IV.D.4), which only Xception has; Table II's 826 GFLOPs at 1024 x 2048 are
    Xception-65's at output stride 16.

    F_h is the decoder's last map, 256 channels at stride 4, and the head a 1x1 classifier. (What the paper
    itself moves is the logits, see ``propagation.distortion_aware``.) The split is after entry flow block2.
    That has stride 8, and F_l gets the stride of F_h, 4, so that every propagation finds the shapes its
    paper assumes: the 48 channels of detail that the decoder needs are there at stride 4, and block2's 256
    are unfolded to 64 at stride 4 (depth-to-space); high folds them again, so nothing is lost or added.

    Decided here: dilation 2 in the last three convolutions, where stride 16 is kept; the globally pooled
    branch has a bias instead of batch norm, so that training works with one image a batch.
    """

    low_channels = DETAIL + 256 // 4
    low_stride = 4
    high_channels = WIDTH
    high_stride = 4
    logits_stride = 4
    size_multiple = 8
    coarsest_stride = 16

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.stem = nn.Sequential(conv_bn_relu(3, 32, 3, 2), conv_bn_relu(32, 64))
        self.block1 = XceptionBlock(64, (128, 128, 128), 2)
        self.block2 = XceptionBlock(128, (256, 256, 256), 2)
        self.detail = conv_bn_relu(256, DETAIL, 1)
        self.deep = nn.Sequential(
            XceptionBlock(256, (728, 728, 728), 2),
            *(XceptionBlock(728, (728, 728, 728)) for _ in range(16)),
            XceptionBlock(728, (728, 1024, 1024)),
            separable_conv(1024, 1536, dilation=2),
            separable_conv(1536, 1536, dilation=2),
            separable_conv(1536, 2048, dilation=2),
        )
        self.pyramid = AtrousPyramid(2048)
        self.decode = nn.Sequential(separable_conv(WIDTH + DETAIL, WIDTH), separable_conv(WIDTH, WIDTH))
        self.classify = nn.Conv2d(WIDTH, classes, 1)

    def low(self, image: Tensor) -> Tensor:
        """Return F_l ``(N, 112, H/4, W/4)``: 48 channels of detail, then 64 of block2, unfolded."""
        x = self.block1(self.stem(image))
        early = self.block2.early(x)
        at8 = self.block2.late(x, early)
        return torch.cat((self.detail(torch.relu(early)), pixel_shuffle(at8, 2)), 1)

    def high(self, low: Tensor) -> Tensor:
        """Return F_h ``(N, 256, H/4, W/4)``: the rest of Xception, the atrous pyramid and the decoder."""
        context = self.pyramid(self.deep(pixel_unshuffle(low[:, DETAIL:], 2)))
        detail = low[:, :DETAIL]
        return self.decode(torch.cat((resize_like(context, detail), detail), 1))  # type: ignore[no-any-return]
