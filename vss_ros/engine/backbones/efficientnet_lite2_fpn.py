"""EfficientNet-Lite2 with the default's feature pyramid: the default's teacher."""

from __future__ import annotations

from typing import ClassVar

from vss_ros.engine.backbones.base import BACKBONES
from vss_ros.engine.backbones.efficientnet_lite0_fpn import DETAIL, EfficientNetLite0FPN, Stage

STAGES: tuple[Stage, ...] = (  # Lite0's, 1.1 times as wide (in eights) and 1.2 times as deep
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 3),
    (5, 2, 6, 48, 3),
    (3, 2, 6, 88, 4),
    (5, 1, 6, 120, 4),
    (5, 2, 6, 208, 5),
    (3, 1, 6, 352, 1),
)


@BACKBONES.register('efficientnet_lite2_fpn', paper='Tan & Le 2019 (Lite variant); Lin et al. 2017')
class EfficientNetLite2FPN(EfficientNetLite0FPN):
    """EfficientNet-Lite2 encoder, else as efficientnet_lite0_fpn, which it taught; no weights are shipped."""

    low_channels = 48 + 4 * DETAIL
    table: ClassVar = STAGES
