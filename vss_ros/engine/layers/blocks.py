"""What more than one network is built from: convolutions, ResNet's stages, pooled context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, interpolate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vss_ros.engine.motion.field import MotionField


def conv_bn_relu(in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Return convolution, batch norm and ReLU: ``(N, in, H, W) -> (N, out, H/stride, W/stride)``."""
    return nn.Sequential(*conv_bn(in_channels, out_channels, kernel, stride), nn.ReLU(inplace=True))


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

    Magnitudes: colours that are too bright and too dark would cancel in signed averages. Of two images
    ``(N, 3, H, W)`` and the motion at their stride; the answer has ``width`` cells in a row, a divisor of W.
    """
    return coarsen((current - motion.warp(source)).abs(), width)


def zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """Return a layer that answers zero until it is trained."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def conv_bn_lite(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Return ``conv_bn`` with the constants of EfficientNet-Lite's batch norm."""
    convolution, _ = conv_bn(in_channels, out_channels, kernel, stride, 1, groups)
    return [convolution, nn.BatchNorm2d(out_channels, 1e-3, 0.01)]


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
        wider = nn.Sequential(*conv_bn_lite(in_channels, hidden, 1), nn.ReLU6(True)) if expand != 1 else None
        self.expand = wider or nn.Identity()
        each = conv_bn_lite(hidden, hidden, kernel, stride, hidden)
        self.depthwise = nn.Sequential(*each, nn.ReLU6(inplace=True))
        self.project = nn.Sequential(*conv_bn_lite(hidden, out_channels, 1))
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in, H, W)`` to ``(N, out, ceil(H/stride), ceil(W/stride))``."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class Residual(nn.Module):
    """A residual block: body and shortcut, a 1x1 projection where shapes differ, are added; ReLU follows."""

    def __init__(self, body: nn.Sequential, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.body = body
        same = stride == 1 and in_channels == out_channels
        self.shortcut = nn.Sequential(*([] if same else conv_bn(in_channels, out_channels, 1, stride)))

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

    return nn.Sequential(block(in_channels, stride), *(block(out_channels, 1) for _ in range(blocks - 1)))


def bottleneck_stage(
    in_channels: int, width: int, blocks: int, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Return a stage of three-convolution blocks, as ResNet-50 and -101 have them.

    ``(N, in, H, W) -> (N, 4 * width, ceil(H/stride), ceil(W/stride))``. The 3x3 convolution strides, and
    all of them are dilated, the first block's too, as PSPNet has it.
    """
    out_channels = 4 * width

    def block(channels: int, step: int) -> Residual:
        body = nn.Sequential(
            *conv_bn(channels, width, 1),
            nn.ReLU(inplace=True),
            *conv_bn(width, width, 3, step, dilation),
            nn.ReLU(inplace=True),
            *conv_bn(width, out_channels, 1),
        )
        return Residual(body, channels, out_channels, step)

    return nn.Sequential(block(in_channels, stride), *(block(out_channels, 1) for _ in range(blocks - 1)))


def pooled_conv_relu(in_channels: int, out_channels: int, grid: int) -> nn.Sequential:
    """Return a 1x1 convolution for a map pooled to ``grid`` cells a side.

    A global pool leaves one value to a channel, of which batch norm can't take a variance when a batch
    has one image; there the convolution has a bias instead.
    """
    if grid == 1:
        return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1), nn.ReLU(inplace=True))
    return conv_bn_relu(in_channels, out_channels, 1)


class GlobalContext(nn.Module):
    """The mean of each channel through a 1x1 convolution: ``(N, in, H, W) -> (N, out, 1, 1)``."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = pooled_conv_relu(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return one value per output channel."""
        return self.conv(x.mean((2, 3), keepdim=True))  # type: ignore[no-any-return]


class PyramidPooling(nn.Module):
    """The input beside its averages over several grids (Zhao et al. 2017, section 3.2).

    Args:
        level_channels: Channels of each level.
        grids: Cells a side (in height, where ``square`` is off) of each level.
        square: Whether a grid has as many columns as rows. SwiftNet's follow the input's aspect ratio.
    """

    def __init__(
        self, in_channels: int, level_channels: int, grids: Sequence[int], *, square: bool = True
    ) -> None:
        super().__init__()
        self.grids = tuple(grids)
        self.square = square
        self.out_channels = in_channels + len(self.grids) * level_channels
        self.levels = nn.ModuleList(pooled_conv_relu(in_channels, level_channels, g) for g in self.grids)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in, H, W)`` to ``(N, out_channels, H, W)``."""
        levels = zip(self.grids, self.levels, strict=True)
        pooled = (level(grid_averages(x, grid, self._columns(x, grid))) for grid, level in levels)
        return torch.cat([x, *(resize_like(level, x) for level in pooled)], 1)

    def _columns(self, x: Tensor, grid: int) -> int:
        if self.square or grid == 1:
            return grid
        columns: Any = x.shape[-1] / x.shape[-2] * grid
        if isinstance(columns, Tensor) and not torch.onnx.is_in_onnx_export():
            # Traced: sizes are tensors, and what is computed of them stays right at other sizes.
            return columns.round().to(torch.int64).clamp(min=1)  # type: ignore[return-value]
        return max(1, round(float(columns)))


def grid_averages(x: Tensor, rows: int, columns: int) -> Tensor:
    """Return the averages of ``(N, C, H, W)`` over a grid of cells, which need not divide H and W."""
    if not torch.onnx.is_in_onnx_export():
        return adaptive_avg_pool2d(x, (rows, columns))
    # ONNX averages over cells of one size only; the same as two products with constants.
    return _averages(rows, int(x.shape[-2])) @ x @ _averages(columns, int(x.shape[-1])).T


def _averages(cells: int, length: int) -> Tensor:
    bounds = [(cell * length // cells, -(-(cell + 1) * length // cells)) for cell in range(cells)]
    return torch.tensor([[(a <= k < b) / (b - a) for k in range(length)] for a, b in bounds])
