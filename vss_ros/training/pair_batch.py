"""One batch of frame triples as propagations see them, with what the frozen backbone says of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from vss_ros.engine.device import device_of
from vss_ros.engine.view import View, look
from vss_ros.training.computing import answering

if TYPE_CHECKING:
    from torch import Tensor

    from vss_ros.datasets.pairs import Triple
    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.motion import MotionEstimator


@dataclass(frozen=True, slots=True)
class PairBatch:
    """Key, between and current frames of N drives. ``field`` leads to the frame before of the three."""

    key: View
    between: View
    current: View
    labels: Tensor
    """True ids of the current frames ``(N, H, W)`` int64."""
    key_high: Tensor
    """F_h of the key frames ``(N, high_channels, h, w)``."""
    between_high: Tensor
    """True F_h of the frames between."""
    high: Tensor
    """True F_h of the current frames."""
    key_logits: Tensor
    between_logits: Tensor
    teacher: Tensor
    """The whole network's logits of the current frames ``(N, C, h', w')``."""

    @property
    def void(self) -> int:
        """The id of pixels that count nowhere: the number of classes."""
        return self.teacher.shape[1]

    def deviation(self) -> Tensor:
        """Return the share of pixels whose label differs between key and current frame, ``(N,)``."""
        return (self.key_logits.argmax(1) != self.teacher.argmax(1)).float().mean((1, 2))


@torch.no_grad()
def pair_batch(backbone: Backbone, triples: list[Triple], motion: MotionEstimator | None) -> PairBatch:
    """Run the backbone on all frames of the triples.

    Args:
        backbone: Frozen.
        triples: Frames of one size.
        motion: Estimates the motion between them, None where no part looks at motion.

    """
    frames = zip(*((t.key, t.between, t.current) for t in triples), strict=True)
    with answering(device_of(backbone)):
        seen = [look(backbone, np.stack(images)) for images in frames]
        highs = [backbone.high(view.low) for view in seen]
        logits = [backbone.head(high).float() for high in highs]
    key, between, current = (view.replace(low=view.low.float()) for view in seen)
    key_high, between_high, high = (features.float() for features in highs)
    if motion is not None:
        between = between.replace(motion=motion(key, between))
        current = current.replace(motion=motion(between, current))
    return PairBatch(
        key,
        between,
        current,
        torch.from_numpy(np.stack([t.labels for t in triples])).to(high.device).long(),
        key_high,
        between_high,
        high,
        *logits,
    )
