"""What every backbone offers: a cheap part, an expensive part and a head."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from vss_ros.engine.registry import Registry


class Backbone(nn.Module, ABC):
    """A segmentation network cut in three: ``head(high(low(image)))`` is the whole of it.

    The cut is where the low-latency paper cuts ResNet-101 (section 3.1): the low features are cheap, tell
    how much the scene has changed, and steer how the expensive high features move from frame to frame.
    """

    low_channels: int
    """Channels of F_l."""
    low_stride: int
    """Image pixels per cell of F_l."""
    high_channels: int
    """Channels of F_h."""
    high_stride: int
    """Image pixels per cell of F_h."""
    logits_stride: int
    """Image pixels per cell of the logits."""
    size_multiple: int
    """Image height and width must be multiples of this."""
    coarsest_stride: ClassVar[int] = 1
    """Image pixels per cell of the coarsest map that is upsampled again; 1 where there is none."""
    fixed_size: tuple[int, int] | None = None
    """Height and width of the image, where the network takes no others."""
    lateral_channels: int = 0
    """Last channels of F_l and of F_h that are the same values: lateral connections from before the cut."""
    interior_layers: ClassVar[tuple[int, ...]] = ()
    """Interior layers that the constructor takes as ``interior``; empty where there is one fixed cut."""
    interior: int = 0
    """TWNet's interior layer at which it is cut (section 4.4.2): the class's own, the instance's chosen."""
    encoder_stages: ClassVar[dict[int, str]] = {}
    """Submodules whose outputs are the encoder's features, by their strides: what another network's can be
    taught by, see :mod:`vss_ros.training.teacher`."""
    classify: nn.Module
    """What ``head`` runs, where that is all of it."""
    has_features: bool = True
    """False where F_l is the image and F_h the logits: only segmentation-space propagation fits then."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    @property
    def size_step(self) -> int:
        """What an image's height and width are rounded to by default.

        A map of an odd number of cells is halved to cells that lie beside those it is upsampled to, which
        training crops never show: on CamVid `val` the default scores 73.6 at 360x480 and 74.2 at 352x480.
        """
        return max(self.size_multiple, self.coarsest_stride)

    @abstractmethod
    def low(self, image: Tensor) -> Tensor:
        """Return F_l ``(N, low_channels, H/low_stride, W/low_stride)`` of an image ``(N, 3, H, W)``."""

    @abstractmethod
    def high(self, low: Tensor) -> Tensor:
        """Return F_h ``(N, high_channels, H/high_stride, W/high_stride)`` of F_l."""

    def head(self, high: Tensor) -> Tensor:
        """Return logits ``(N, classes, H/logits_stride, W/logits_stride)`` of F_h."""
        return self.classify(high)  # type: ignore[no-any-return]

    def forward(self, image: Tensor) -> Tensor:
        """Run the whole network: ``(N, 3, H, W) -> (N, classes, H/logits_stride, W/logits_stride)``."""
        return self.head(self.high(self.low(image)))

    def load_pretrained_encoder(self) -> None:
        """Load the weights that training from scratch begins with, where there are any for the encoder."""


BACKBONES: Registry[Backbone] = Registry('backbone')
