"""What every propagation offers: key-frame features moved to the current frame."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from vss_ros.engine.registry import Registry


class Propagation(nn.Module, ABC):
    """Moves high features from the key frame to the current frame.

    Args:
        low_channels: Channels of F_l.
        high_channels: Channels of F_h.
        low_stride: Image pixels per cell of F_l.
        high_stride: Image pixels per cell of F_h.

    """

    def __init__(self, low_channels: int, high_channels: int, low_stride: int, high_stride: int) -> None:
        """Remember the backbone's shapes."""
        super().__init__()
        self.low_channels, self.high_channels = low_channels, high_channels
        self.low_stride, self.high_stride = low_stride, high_stride

    def prepare(self, low: Tensor) -> Tensor:
        """Return what later frames need of a frame's F_l; computed once, cached with a key frame."""
        return low

    @abstractmethod
    def propagate(self, key: Tensor, key_high: Tensor, current: Tensor, low: Tensor) -> Tensor:
        """Return the current frame's F_h.

        Args:
            key: ``prepare()`` of the key frame.
            key_high: F_h of the key frame, ``(N, high_channels, H, W)``.
            current: ``prepare()`` of the current frame.
            low: F_l of the current frame.

        """

    def forward(self, key_low: Tensor, key_high: Tensor, low: Tensor) -> Tensor:
        """Propagate from both frames' F_l, as training does."""
        return self.propagate(self.prepare(key_low), key_high, self.prepare(low), low)


PROPAGATIONS: Registry[Propagation] = Registry('propagation')

NO_PROPAGATION = 'none'
"""The name under which the whole network runs on every frame."""
