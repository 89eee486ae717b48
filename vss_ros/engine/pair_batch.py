"""What a propagation or a scheduler learns from: frames of a drive and the whole network's answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from vss_ros.engine.view import View


@dataclass(frozen=True, slots=True)
class PairBatch:
    """Key, between and current frames of N drives; each view's motion leads to the frame before it."""

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


class Hop(NamedTuple):
    """One propagation from a source to the current frame, to be learned from."""

    source: View
    """The key frame, or a frame that was propagated to."""
    source_high: Tensor
    """What is moved: the source's F_h or logits."""
    view: View
    """The current frame; its motion leads to the source."""
    batch: PairBatch
    """All frames and true answers; ``view`` is its current frame."""
