"""What every propagation offers: an earlier frame's features moved to the current frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from vss_ros.engine.registry import Registry

if TYPE_CHECKING:
    from vss_ros.engine.backbones.base import Backbone
    from vss_ros.engine.pair_batch import Hop
    from vss_ros.engine.view import View


class Space(StrEnum):
    """What is moved."""

    FEATURES = 'features'
    """F_h; the backbone's head turns it into logits."""
    SEGMENTATION = 'segmentation'
    """The logits themselves: works with any network, also one without features."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """What a propagation is built for: a backbone's channels and strides."""

    low_channels: int
    low_stride: int
    """Image pixels per cell of F_l."""
    high_channels: int
    """Channels of what is moved: of F_h, or the number of classes in segmentation space."""
    high_stride: int
    """Image pixels per cell of what is moved."""
    lateral_channels: int = 0
    """Last channels of F_l and of F_h that are the same values (lateral connections); not to be moved."""
    feature_channels: int = 0
    """Channels of F_h in either space, lateral ones left out: what widths are proportioned to."""

    @classmethod
    def of(cls, backbone: Backbone, space: Space) -> Shapes:
        """Return the shapes a backbone offers to a propagation that works in ``space``."""
        moved = (backbone.high_channels, backbone.high_stride, backbone.lateral_channels)
        features = backbone.high_channels - backbone.lateral_channels
        if space is Space.SEGMENTATION:
            moved = (backbone.classes, backbone.logits_stride, 0)
        return cls(backbone.low_channels, backbone.low_stride, *moved, features)


class Switch(NamedTuple):
    """How one correction of a propagation is turned off: a module's output is replaced by a constant."""

    module: str
    """Attribute of the propagation."""
    output: tuple[float, ...]
    """One value for all channels, or one for each; ``inf`` becomes 1 in a sigmoid that follows."""


class Propagation(nn.Module, ABC):
    """Moves high features (or logits) from an earlier frame, the source, to the current frame.

    With ``frame_by_frame`` False the source is always the key frame. Otherwise it is the previous frame,
    with the features that were propagated to it. When the slow track delivers the true features of a key
    frame late, the source is for once that key frame, and the view's motion is the composition of all
    fields since: late features are used as of their age, in one hop, at the price of an ordinary frame.
    """

    space: ClassVar[Space] = Space.FEATURES
    frame_by_frame: ClassVar[bool] = False
    needs_low: ClassVar[bool] = True
    """Whether ``view.low`` is read; if no part reads it, it is computed for key frames only."""
    motion: ClassVar[str] = ''
    """Default motion estimator, empty where the view's motion is not read."""
    image_strides: tuple[int, ...] = ()
    """Strides at which ``propagate`` looks at the image by ``view.small``."""
    prepares_pixels: ClassVar[bool] = False
    """Whether ``prepare`` is a small image alone, which no graph is worth."""
    switches: ClassVar[dict[str, Switch]] = {}
    """What the method adds to plain propagation, by a description, to measure what each is worth."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.shapes = shapes

    def prepare(self, view: View) -> Tensor:
        """Return what later frames need of a frame, a tensor of its own: F_l or, where unused, nothing."""
        return view.low if self.needs_low else torch.empty(0, device=view.device)

    @abstractmethod
    def propagate(self, source: Tensor, source_high: Tensor, current: Tensor, view: View) -> Tensor:
        """Return the current frame's F_h (or logits).

        Args:
            source: ``prepare()`` of the source frame.
            source_high: What is moved, ``(N, high_channels, H, W)``.
            current: ``prepare()`` of the current frame.
            view: The current frame; ``view.motion`` leads to the source frame.
        """

    def forward(self, source: View, source_high: Tensor, view: View) -> Tensor:
        """Propagate from one view to another, as training does."""
        return self.propagate(self.prepare(source), source_high, self.prepare(view), view)

    def training_loss(self, hop: Hop) -> tuple[Tensor, Tensor]:
        """Return the current frame's F_h (or logits) and the method's own loss, a scalar.

        Every propagation is trained towards the labels and the whole network's answer; override this for a
        loss that the method's paper adds.
        """
        answer = self(hop.source, hop.source_high, hop.view)
        return answer, answer.new_zeros(())


PROPAGATIONS: Registry[Propagation] = Registry('propagation')
NO_PROPAGATION = 'none'
"""The name under which the whole network runs on every frame."""
AUTO, REPAIRS = 'auto', 'warp_and_repair'
"""The propagation that is chosen by what the model has, and the best that it may have."""
