"""The aligned Xception-65 of DeepLabv3+ (Chen et al. 2018, Fig. 4) in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn.functional import relu

from vss_ros.engine.layers.blocks import conv_bn, depthwise_bn

if TYPE_CHECKING:
    from collections.abc import Sequence


def _separable(in_channels: int, out_channels: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Return depthwise and 1x1 convolution with batch norm each and no ReLU between."""
    return nn.Sequential(*depthwise_bn(in_channels, stride, dilation), *conv_bn(in_channels, out_channels, 1))


class XceptionBlock(nn.Module):
    """Three separable convolutions, each after a ReLU, and a shortcut around them.

    Args:
        in_channels: Channels that come in.
        widths: Output channels of the three.
        stride: Stride of the last one.

    """

    def __init__(self, in_channels: int, widths: Sequence[int], stride: int = 1) -> None:
        """Build the convolutions, and a 1x1 projection where the shapes differ."""
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
        y: Tensor = self.last(relu(early))
        around: Tensor = self.shortcut(x)
        return y + around

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in, H, W)`` to ``(N, widths[2], ceil(H/stride), ceil(W/stride))``."""
        return self.late(x, self.early(x))
