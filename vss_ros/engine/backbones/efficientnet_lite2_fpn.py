"""EfficientNet-Lite2 with the default's feature pyramid: the default's teacher."""

from __future__ import annotations

from math import ceil
from typing import ClassVar

from vss_ros.engine.backbones.base import BACKBONES
from vss_ros.engine.backbones.efficientnet_lite0_fpn import DETAIL, STAGES, EfficientNetLite0FPN, Stage

WIDTH, DEPTH = 1.1, 1.2
"""Lite2's channels and repeats over Lite0's."""


def _scaled(stage: Stage) -> Stage:
    """Return a stage of Lite0 as wide, in eights, and as deep as Lite2's; single blocks stay single."""
    kernel, stride, expand, channels, repeats = stage
    deep = ceil(repeats * DEPTH) if repeats > 1 else 1
    return kernel, stride, expand, 8 * round(channels * WIDTH / 8), deep


@BACKBONES.register('efficientnet_lite2_fpn', paper='Tan & Le 2019 (Lite variant); Lin et al. 2017')
class EfficientNetLite2FPN(EfficientNetLite0FPN):
    """EfficientNet-Lite2 encoder, else as efficientnet_lite0_fpn, which it taught; no weights are shipped."""

    table: ClassVar = tuple(map(_scaled, STAGES))
    low_channels = table[2][3] + 4 * DETAIL
