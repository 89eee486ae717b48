"""The low-latency paper's propagation: predicted kernels, AdaptNet and fusion (section 3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from vss_ros.engine.layers.blocks import conv_relu
from vss_ros.engine.layers.spatially_variant import spatially_variant_convolution
from vss_ros.engine.propagation.base import PROPAGATIONS, Propagation, Switch

if TYPE_CHECKING:
    from vss_ros.engine.propagation.base import Shapes
    from vss_ros.engine.view import View

SIDE = 9
"""K of Eq. 1."""


@PROPAGATIONS.register(
    'spatially_variant_conv', paper='Li et al. 2018, Low-Latency Video Semantic Segmentation'
)
class SpatiallyVariantConv(Propagation):
    """Spatially variant convolution steered by both frames' low features, fused with AdaptNet's.

    The paper's networks are 256 channels wide beside ResNet-101; here the width is half of F_h's, so that
    propagation stays cheap beside every backbone. The kernel predictor reduces either F_l
    with one shared 3x3 convolution (section 4: "a similar structure" to the key frame selector, which does
    the same), so a key frame's half is computed once. The fused features pass a ReLU, since the backbone's
    head was trained on features that had one.
    """

    switches: ClassVar = {"fusion: AdaptNet's features = 0": Switch('adapt', (0.0,))}

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        low_channels, high_channels = shapes.low_channels, shapes.high_channels
        self.scale = shapes.low_stride / shapes.high_stride
        width = max(high_channels // 2, 8)
        self.reduce = conv_relu(low_channels, width)
        self.predict = nn.Sequential(conv_relu(2 * width, width), nn.Conv2d(width, SIDE * SIDE, 1))
        self.adapt = nn.Sequential(
            conv_relu(low_channels, width), conv_relu(width, width), conv_relu(width, width)
        )
        self.fuse = nn.Conv2d(high_channels + width, high_channels, 3, 1, 1)
        nn.init.dirac_(self.fuse.weight[:, :high_channels].data)
        nn.init.zeros_(self.fuse.weight[:, high_channels:].data)
        nn.init.zeros_(self.fuse.bias.data)  # type: ignore[union-attr]

    def prepare(self, view: View) -> Tensor:
        """Return the reduced F_l at F_h's stride, ``(N, width, H, W)``."""
        return self._at_high_stride(self.reduce(view.low))

    def kernels(self, key: Tensor, current: Tensor) -> Tensor:
        """Return per-cell kernels ``(N, 81, H, W)``; the 81 weights of a cell sum to one."""
        return self.predict(torch.cat((key, current), 1)).softmax(1)  # type: ignore[no-any-return]

    def propagate(self, source: Tensor, source_high: Tensor, current: Tensor, view: View) -> Tensor:
        """Return the current F_h, ``(N, high_channels, H, W)``."""
        moved = spatially_variant_convolution(source_high, self.kernels(source, current))
        return torch.relu(self.fuse(torch.cat((moved, self._at_high_stride(self.adapt(view.low))), 1)))

    def _at_high_stride(self, x: Tensor) -> Tensor:
        """Bring features from F_l's stride to F_h's where they differ; the paper's are equal."""
        if self.scale == 1:
            return x
        return interpolate(x, scale_factor=self.scale, mode='bilinear', align_corners=False)
