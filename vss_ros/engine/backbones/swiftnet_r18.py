"""SwiftNet with ResNet-18: GSVNet's faster image network, and TWNet's encoder of Table 7."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from vss_ros.engine.backbones.base import BACKBONES
from vss_ros.engine.backbones.interior import InteriorBackbone, Steps, Widths
from vss_ros.engine.layers.blocks import PyramidPooling, basic_stage, conv_bn_relu, resize_like, stem

WIDTH = 128
"""Channels of the decoder."""
DETAIL = 64
"""Channels of conv2_2, carried through both features at stride 8 by space-to-depth."""


class UpsampleBlend(nn.Module):
    """One step of SwiftNet's decoder: upsample, add the lateral connection, blend by a 3x3 convolution."""

    def __init__(self, lateral_channels: int) -> None:
        super().__init__()
        self.lateral = conv_bn_relu(lateral_channels, WIDTH, 1)
        self.blend = conv_bn_relu(WIDTH, WIDTH)

    def forward(self, x: Tensor, lateral: Tensor) -> Tensor:
        """Bring ``(N, 128, h, w)`` to the height and width of the lateral ``(N, in, H, W)``."""
        return self.blend(self.lateral(lateral) + resize_like(x, lateral))  # type: ignore[no-any-return]


@BACKBONES.register('swiftnet_r18', paper='Orsic et al. 2019, SwiftNet; used by Lee et al. 2021, GSVNet')
class SwiftNetR18(InteriorBackbone):
    """SwiftNet on ResNet-18, single scale: spatial pyramid pooling and three upsampling steps.

    Cut at TWNet's interior layer 2 (stride 8) unless asked otherwise; conv2_2, conv3_2 and conv4_2 have the
    lateral connections (Table 7).

    Decided here: convolution, batch norm, ReLU in that order throughout the decoder, where SwiftNet has
    batch norm first and lateral connections from before the block's ReLU. Batch norm can then be folded
    away, and F_h is never negative, as a fusion that ends in ReLU needs. Pyramid grids of 8, 4 and 2 rows,
    with columns by aspect ratio, are SwiftNet's.
    """

    widths = Widths(
        encoder4=DETAIL, detail4=DETAIL, encoder8=WIDTH, encoder16=256,
        decoder16=WIDTH, decoder8=WIDTH, decoder4=WIDTH,
    )  # fmt: skip
    encoder_stages: ClassVar = {4: 'conv2', 8: 'conv3', 16: 'conv4.1', 32: 'conv5'}

    def __init__(self, classes: int, interior: int = 2) -> None:
        super().__init__(classes, interior)
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

    def steps(self) -> Steps:
        """Return conv2_2, which is carried as it is, conv3_2, conv4_1, conv4_2 and the pyramid on conv5_2."""
        deepen = nn.Sequential(self.conv5, self.reduce, self.pyramid, self.context)
        return Steps(self.conv2, nn.Identity(), self.conv3, self.conv4[0], self.conv4[1:], deepen)
