"""MobileNetV1 with three lateral connections: the backbone of TWNet."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from vss_ros.engine.backbones.base import BACKBONES, Backbone
from vss_ros.engine.layers.blocks import conv_bn_relu, resize_like, separable_conv

LAYERS = (  # output channels, stride of conv2d_1 to conv2d_13 (Howard et al. 2017, Table 1)
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)
HEADS = (3, 5, 11)
"""Layers with a lateral connection: head1, head2 and head3 of TWNet's Table 7."""
AT16, AT8, AT4 = 128, 64, 64
"""Channels of the decoder at each stride."""


class Lateral(nn.Module):
    """A lateral connection (Lin et al. 2017): upsample, add the lateral, smooth by a 3x3 convolution."""

    def __init__(self, deep_channels: int, lateral_channels: int, out_channels: int) -> None:
        """Build the 1x1 convolutions of both inputs and the 3x3 one of their sum."""
        super().__init__()
        self.deep = nn.Conv2d(deep_channels, out_channels, 1)
        self.lateral = nn.Conv2d(lateral_channels, out_channels, 1)
        self.smooth = conv_bn_relu(out_channels, out_channels)

    def forward(self, deep: Tensor, lateral: Tensor) -> Tensor:
        """Bring ``(N, deep, h, w)`` to ``(N, out, H, W)`` of the lateral ``(N, lateral, H, W)``."""
        projected: Tensor = self.lateral(lateral)
        return self.smooth(projected + resize_like(self.deep(deep), lateral))  # type: ignore[no-any-return]


def _layers(first: int, last: int) -> nn.Sequential:
    widths = (32, *(channels for channels, _ in LAYERS))
    return nn.Sequential(*(separable_conv(widths[i - 1], *LAYERS[i - 1]) for i in range(first, last + 1)))


@BACKBONES.register('mobilenet_fpn', paper='Howard et al. 2017; used by Feng et al. 2020, TWNet')
class MobileNetFPN(Backbone):
    """MobileNetV1 encoder with three cascaded lateral connections as its decoder (section 5.1.2).

    Split after conv2d_5 (stride 8), head2 of Table 7. The last lateral connection comes from conv2d_3
    (head1, stride 4), from before the split: low reduces it to 64 channels, and both features carry it,
    unchanged, as their last ``lateral_channels``, folded to stride 8 by space-to-depth. TWNet's
    non-key-frame network for interior layer 2 (section 4.2) is then the current frame's lateral channels
    beside the warped rest. Interior layer 1 would be cut at stride 16, layer 3 at stride 4, and the two
    features would differ in stride; layer 2 is the paper's faster choice (x2.39, Table 8).

    The paper leaves the decoder's widths open. Table 3 charges 2.42 G for CFR's single layer at either
    interior layer, which is what a 3x3 convolution of [F, f] costs with 128 channels each at stride 16
    and 64 each at stride 8 (multiply-adds, 1024 x 2048): hence 128 and 64 here, and 64 again at stride 4.
    """

    low_channels = LAYERS[HEADS[1] - 1][0] + 4 * AT4
    low_stride = 8
    high_channels = AT8 + 4 * AT4
    high_stride = 8
    logits_stride = 4
    size_multiple = 8
    lateral_channels = 4 * AT4

    def __init__(self, classes: int) -> None:
        """Build the network with random weights."""
        super().__init__(classes)
        self.head1 = nn.Sequential(conv_bn_relu(3, 32, 3, 2), _layers(1, HEADS[0]))
        self.head2 = _layers(HEADS[0] + 1, HEADS[1])
        self.head3 = _layers(HEADS[1] + 1, HEADS[2])
        self.top = _layers(HEADS[2] + 1, len(LAYERS))
        self.detail = conv_bn_relu(128, AT4, 1)
        self.up16 = Lateral(1024, 512, AT16)
        self.up8 = Lateral(AT16, 256, AT8)
        self.up4 = Lateral(AT8, AT4, AT4)
        self.classify = nn.Conv2d(AT4, classes, 1)

    def low(self, image: Tensor) -> Tensor:
        """Return F_l ``(N, 512, H/8, W/8)``: conv2d_5, then the lateral of conv2d_3, folded."""
        at4 = self.head1(image)
        return torch.cat((self.head2(at4), pixel_unshuffle(self.detail(at4), 2)), 1)

    def high(self, low: Tensor) -> Tensor:
        """Return F_h ``(N, 320, H/8, W/8)``: the decoder at stride 8, then the lateral of conv2d_3."""
        at8, detail = low.split((256, self.lateral_channels), 1)
        at16 = self.head3(at8)
        bottom = self.up8(self.up16(self.top(at16), at16), at8)
        return torch.cat((bottom, detail), 1)

    def head(self, high: Tensor) -> Tensor:
        """Return logits ``(N, classes, H/4, W/4)``: the last lateral connection and the classifier."""
        at8, detail = high.split((AT8, self.lateral_channels), 1)
        return self.classify(self.up4(at8, pixel_shuffle(detail, 2)))  # type: ignore[no-any-return]
