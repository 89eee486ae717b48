"""BiSeNet with ResNet-18: one of the two image networks of GSVNet."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from vss_ros.engine.backbones.base import BACKBONES, Backbone
from vss_ros.engine.layers.blocks import GlobalContext, basic_stage, conv_bn_relu, resize_like, stem

WIDTH = 128
"""Channels of either path; the fusion has both."""


class AttentionRefinement(nn.Module):
    """BiSeNet's attention refinement: a 3x3 convolution, then a weight per channel from the global mean."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = conv_bn_relu(in_channels, WIDTH)
        self.gate = nn.Conv2d(WIDTH, WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in, H, W)`` to ``(N, 128, H, W)``."""
        y: Tensor = self.conv(x)
        return y * self.gate(y.mean((2, 3), keepdim=True)).sigmoid()  # type: ignore[no-any-return]


class FeatureFusion(nn.Module):
    """BiSeNet's feature fusion: a 1x1 convolution over both paths, re-weighted per channel and added."""

    def __init__(self) -> None:
        super().__init__()
        width = 2 * WIDTH
        self.conv = conv_bn_relu(width, width, 1)
        self.gate = nn.Sequential(GlobalContext(width, width // 4), nn.Conv2d(width // 4, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, 256, H, W)`` to the same shape."""
        y: Tensor = self.conv(x)
        return y + y * self.gate(y).sigmoid()  # type: ignore[no-any-return]


@BACKBONES.register('bisenet_r18', paper='Yu et al. 2018, BiSeNet; used by Lee et al. 2021, GSVNet')
class BiSeNetR18(Backbone):
    """BiSeNet on ResNet-18: a spatial path at stride 8 beside a context path, fused at stride 8.

    Split at stride 8: F_l holds the whole spatial path (128 channels) and ResNet's conv3_2 (128), head2 of
    TWNet's Table 7; F_h is the fused map, so that both have 256 channels at stride 8. GSVNet (section 4.1)
    takes the network as it is and propagates its logits, also of stride 8. Widths follow the published
    implementation: 64, 64, 64 and 128 in the spatial path, 128 in the context path, 64 before the
    classifier. Convolutions on globally pooled maps have biases instead of batch norm, so that training
    works with one image a batch. The auxiliary heads are left out.
    """

    low_channels = 2 * WIDTH
    low_stride = 8
    high_channels = 2 * WIDTH
    high_stride = 8
    logits_stride = 8
    size_multiple = 8
    coarsest_stride = 32
    encoder_stages: ClassVar = {4: 'shallow.1', 8: 'shallow.2', 16: 'conv4', 32: 'conv5'}

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.spatial = nn.Sequential(
            conv_bn_relu(3, 64, 7, 2),
            conv_bn_relu(64, 64, 3, 2),
            conv_bn_relu(64, 64, 3, 2),
            conv_bn_relu(64, WIDTH, 1),
        )
        self.shallow = nn.Sequential(stem(), basic_stage(64, 64, 2, 1), basic_stage(64, WIDTH, 2, 2))
        self.conv4 = basic_stage(WIDTH, 256, 2, 2)
        self.conv5 = basic_stage(256, 512, 2, 2)
        self.context = GlobalContext(512, WIDTH)
        self.attend32 = AttentionRefinement(512)
        self.attend16 = AttentionRefinement(256)
        self.refine16 = conv_bn_relu(WIDTH, WIDTH)
        self.refine8 = conv_bn_relu(WIDTH, WIDTH)
        self.fuse = FeatureFusion()
        self.classify = nn.Sequential(conv_bn_relu(2 * WIDTH, 64), nn.Conv2d(64, classes, 1))

    def low(self, image: Tensor) -> Tensor:
        """Return F_l ``(N, 256, H/8, W/8)``: the spatial path, then conv3_2."""
        return torch.cat((self.spatial(image), self.shallow(image)), 1)

    def high(self, low: Tensor) -> Tensor:
        """Return F_h ``(N, 256, H/8, W/8)``: the context path, fused with the spatial one."""
        at16 = self.conv4(low[:, WIDTH:])
        at32 = self.conv5(at16)
        top = self.attend32(at32) + self.context(at32)
        middle = self.attend16(at16) + self.refine16(resize_like(top, at16))
        bottom = self.refine8(resize_like(middle, low))
        return self.fuse(torch.cat((low[:, :WIDTH], bottom), 1))  # type: ignore[no-any-return]
