"""SwiftNet with ResNet-18: GSVNet's faster image network, and TWNet's encoder of Table 7."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from vss_ros.engine.backbones.base import BACKBONES, Backbone
from vss_ros.engine.layers.blocks import conv_bn_relu, resize_like
from vss_ros.engine.layers.pyramid_pooling import PyramidPooling
from vss_ros.engine.layers.resnet import basic_stage, stem

WIDTH = 128
"""Channels of the decoder."""
DETAIL = 64
"""Channels of conv2_2, carried through both features at stride 8 by space-to-depth."""


class UpsampleBlend(nn.Module):
    """One step of SwiftNet's decoder: upsample, add the lateral connection, blend by a 3x3 convolution."""

    def __init__(self, lateral_channels: int) -> None:
        """Build the lateral 1x1 and the blending 3x3 convolution."""
        super().__init__()
        self.lateral = conv_bn_relu(lateral_channels, WIDTH, 1)
        self.blend = conv_bn_relu(WIDTH, WIDTH)

    def forward(self, x: Tensor, lateral: Tensor) -> Tensor:
        """Bring ``(N, 128, h, w)`` to the height and width of the lateral ``(N, in, H, W)``."""
        projected: Tensor = self.lateral(lateral)
        return self.blend(projected + resize_like(x, lateral))  # type: ignore[no-any-return]


@BACKBONES.register('swiftnet_r18', paper='Orsic et al. 2019, SwiftNet; used by Lee et al. 2021, GSVNet')
class SwiftNetR18(Backbone):
    """SwiftNet on ResNet-18, single scale: spatial pyramid pooling and three upsampling steps.

    Split after conv3_2 (stride 8), head2 of TWNet's Table 7. The last upsampling step has a lateral
    connection from conv2_2 (head1, stride 4), from before the split: both features carry it, unchanged, as
    their last ``lateral_channels``, folded to stride 8 by space-to-depth. So both have 384 channels at
    stride 8, nothing is lost, and the network computes what it would in one piece. A propagation that
    wants TWNet's non-key-frame network for interior layer 2 (section 4.2) takes these channels from the
    current frame's F_l, and moves the rest.

    Decided here: convolution, batch norm, ReLU in that order throughout the decoder, where SwiftNet has
    batch norm first and lateral connections from before the block's ReLU. Batch norm can then be folded
    away, and F_h is never negative, as a fusion that ends in ReLU needs. Pyramid grids of 8, 4 and 2 rows,
    with columns by aspect ratio, are SwiftNet's.
    """

    low_channels = WIDTH + 4 * DETAIL
    low_stride = 8
    high_channels = WIDTH + 4 * DETAIL
    high_stride = 8
    logits_stride = 4
    size_multiple = 8
    lateral_channels = 4 * DETAIL

    def __init__(self, classes: int) -> None:
        """Build the network with random weights."""
        super().__init__(classes)
        self.conv2 = nn.Sequential(stem(), basic_stage(64, DETAIL, 2, 1))
        self.conv3 = basic_stage(DETAIL, WIDTH, 2, 2)
        self.conv4 = basic_stage(WIDTH, 256, 2, 2)
        self.conv5 = basic_stage(256, 512, 2, 2)
        self.reduce = conv_bn_relu(512, WIDTH, 1)
        self.pyramid = PyramidPooling(WIDTH, WIDTH // 3, (8, 4, 2), square=False)
        self.context = conv_bn_relu(self.pyramid.out_channels, WIDTH, 1)
        self.up16 = UpsampleBlend(256)
        self.up8 = UpsampleBlend(WIDTH)
        self.up4 = UpsampleBlend(DETAIL)
        self.classify = nn.Conv2d(WIDTH, classes, 1)

    def low(self, image: Tensor) -> Tensor:
        """Return F_l ``(N, 384, H/8, W/8)``: conv3_2, then conv2_2 folded."""
        at4 = self.conv2(image)
        return torch.cat((self.conv3(at4), pixel_unshuffle(at4, 2)), 1)

    def high(self, low: Tensor) -> Tensor:
        """Return F_h ``(N, 384, H/8, W/8)``: the decoder at stride 8, then conv2_2 folded."""
        at8 = low[:, :WIDTH]
        at16 = self.conv4(at8)
        top = self.context(self.pyramid(self.reduce(self.conv5(at16))))
        bottom = self.up8(self.up16(top, at16), at8)
        return torch.cat((bottom, low[:, WIDTH:]), 1)

    def head(self, high: Tensor) -> Tensor:
        """Return logits ``(N, classes, H/4, W/4)``: the last upsampling step and the classifier."""
        at4 = pixel_shuffle(high[:, WIDTH:], 2)
        return self.classify(self.up4(high[:, :WIDTH], at4))  # type: ignore[no-any-return]
