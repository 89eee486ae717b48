"""Convolution blocks shared by backbones and propagations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

if TYPE_CHECKING:
    from vss_ros.engine.motion.field import MotionField


def conv_bn_relu(in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Return convolution, batch norm and ReLU: ``(N, in, H, W) -> (N, out, H/stride, W/stride)``."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def conv_relu(in_channels: int, out_channels: int, kernel: int = 3) -> nn.Sequential:
    """Return a biased convolution and ReLU, as the low-latency paper's small networks use them."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, kernel, 1, kernel // 2), nn.ReLU(inplace=True))


def conv_bn(
    in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, dilation: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Return convolution and batch norm, to be spread into a ``Sequential`` where they can be folded.

    ``(N, in, H, W) -> (N, out, ceil(H/stride), ceil(W/stride))``.
    """
    padding = dilation * (kernel // 2)
    return [
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(out_channels),
    ]


def depthwise_bn(channels: int, stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    """Return a 3x3 depthwise convolution and batch norm: ``(N, C, H, W) -> (N, C, H/stride, W/stride)``."""
    return conv_bn(channels, channels, 3, stride, dilation, channels)


def separable_conv(in_channels: int, out_channels: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Return MobileNetV1's block, depthwise and 1x1 convolution, each with batch norm and ReLU.

    ``(N, in, H, W) -> (N, out, ceil(H/stride), ceil(W/stride))``.
    """
    return nn.Sequential(
        *depthwise_bn(in_channels, stride, dilation),
        nn.ReLU(inplace=True),
        *conv_bn(in_channels, out_channels, 1),
        nn.ReLU(inplace=True),
    )


def resize_like(x: Tensor, reference: Tensor) -> Tensor:
    """Resize ``(N, C, h, w)`` bilinearly to the height and width of ``reference`` where they differ."""
    if x.shape[-2:] == reference.shape[-2:]:
        return x
    return interpolate(x, size=reference.shape[-2:], mode='bilinear', align_corners=False)


def coarsen(x: Tensor, width: int) -> Tensor:
    """Average ``(N, C, H, W)`` over square cells down to a width that divides W; as it is where it fits."""
    cell = x.shape[-1] // width
    return avg_pool2d(x, cell) if cell > 1 else x


def image_residual(source: Tensor, current: Tensor, motion: MotionField, width: int) -> Tensor:
    """Return how far the warped earlier image is from the current one (TWNet, Eq. 6).

    Magnitudes: colours that are too bright and too dark would cancel in signed averages.

    Args:
        source: Earlier image ``(N, 3, H, W)``.
        current: Current image, the same.
        motion: From the current to the earlier one, at the images' stride.
        width: Cells of the answer in a row, a divisor of W.
    """
    return coarsen((current - motion.warp(source)).abs(), width)


class InvertedResidual(nn.Module):
    """MobileNetV2's block as EfficientNet-Lite uses it: ReLU6, no squeeze-and-excite.

    Expand 1x1, depthwise k x k, project 1x1; the input is added where shapes agree.
    Strided layers pad evenly, not as TensorFlow's 'SAME' does: an explicit uneven pad copies the widest
    tensor of the network (a quarter of the low part's time), and fine-tuning absorbs the shift.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, expand: int) -> None:
        """Build the block; ``expand`` 1 leaves the expansion out."""
        super().__init__()
        hidden = in_channels * expand
        self.expand = (
            nn.Sequential(
                nn.Conv2d(in_channels, hidden, 1, bias=False),
                nn.BatchNorm2d(hidden, 1e-3, 0.01),
                nn.ReLU6(True),
            )
            if expand != 1
            else nn.Identity()
        )
        self.depthwise = nn.Sequential(
            nn.Conv2d(hidden, hidden, kernel, stride, kernel // 2, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden, 1e-3, 0.01),
            nn.ReLU6(inplace=True),
        )
        self.project = nn.Sequential(
            nn.Conv2d(hidden, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels, 1e-3, 0.01)
        )
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in, H, W)`` to ``(N, out, ceil(H/stride), ceil(W/stride))``."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y
