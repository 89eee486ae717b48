"""MobileNetV1 with three lateral connections: the backbone of TWNet."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from vss_ros.engine.backbones.base import BACKBONES
from vss_ros.engine.backbones.interior import InteriorBackbone, Steps, Widths
from vss_ros.engine.layers.blocks import conv_bn_relu, resize_like, separable_conv

# Output channels and stride of conv2d_1 to conv2d_13 (Howard et al. 2017, Table 1).
LAYERS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *5 * [(512, 1)], (1024, 2), (1024, 1))
HEADS = (3, 5, 11)
"""Layers with a lateral connection: head1, head2 and head3 of TWNet's Table 7."""
AT16, AT8, AT4 = 128, 64, 64
"""Channels of the decoder at each stride."""


class Lateral(nn.Module):
    """A lateral connection (Lin et al. 2017): upsample, add the lateral, smooth by a 3x3 convolution."""

    def __init__(self, deep_channels: int, lateral_channels: int, out_channels: int) -> None:
        super().__init__()
        self.deep = nn.Conv2d(deep_channels, out_channels, 1)
        self.lateral = nn.Conv2d(lateral_channels, out_channels, 1)
        self.smooth = conv_bn_relu(out_channels, out_channels)

    def forward(self, deep: Tensor, lateral: Tensor) -> Tensor:
        """Bring ``(N, deep, h, w)`` to ``(N, out, H, W)`` of the lateral ``(N, lateral, H, W)``."""
        return self.smooth(self.lateral(lateral) + resize_like(self.deep(deep), lateral))  # type: ignore[no-any-return]


def _layers(first: int, last: int) -> nn.Sequential:
    widths = (32, *(channels for channels, _ in LAYERS))
    return nn.Sequential(*(separable_conv(widths[i - 1], *LAYERS[i - 1]) for i in range(first, last + 1)))


@BACKBONES.register('mobilenet_fpn', paper='Howard et al. 2017; used by Feng et al. 2020, TWNet')
class MobileNetFPN(InteriorBackbone):
    """MobileNetV1 encoder with three cascaded lateral connections as its decoder (section 5.1.2).

    Cut at interior layer 2 (stride 8), the paper's faster choice (x2.39, Table 8), unless asked otherwise.
    The last lateral connection comes from conv2d_3 (head1 of Table 7), which is reduced to 64 channels
    before it is carried through the cut.

    The paper leaves the decoder's widths open. Table 3 charges 2.42 G for CFR's single layer at either
    interior layer, which is what a 3x3 convolution of [F, f] costs with 128 channels each at stride 16
    and 64 each at stride 8 (multiply-adds, 1024 x 2048): hence 128 and 64 here, and 64 again at stride 4.
    """

    widths = Widths(
        encoder4=128, detail4=AT4, encoder8=256, encoder16=512, decoder16=AT16, decoder8=AT8, decoder4=AT4
    )
    encoder_stages: ClassVar = {4: 'head1', 8: 'head2', 16: 'head3.5', 32: 'top'}

    def __init__(self, classes: int, interior: int = 2) -> None:
        super().__init__(classes, interior)
        self.head1 = nn.Sequential(conv_bn_relu(3, 32, 3, 2), _layers(1, HEADS[0]))
        self.head2 = _layers(HEADS[0] + 1, HEADS[1])
        self.head3 = _layers(HEADS[1] + 1, HEADS[2])
        self.top = _layers(HEADS[2] + 1, len(LAYERS))
        self.detail = conv_bn_relu(128, AT4, 1)
        self.up16 = Lateral(1024, 512, AT16)
        self.up8 = Lateral(AT16, 256, AT8)
        self.up4 = Lateral(AT8, AT4, AT4)
        self.classify = nn.Conv2d(AT4, classes, 1)

    def steps(self) -> Steps:
        """Return conv2d_3, its reduction, conv2d_5, conv2d_6, conv2d_11 and conv2d_13."""
        return Steps(self.head1, self.detail, self.head2, self.head3[0], self.head3[1:], self.top)
