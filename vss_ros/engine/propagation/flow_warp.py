"""Plain warping, the floor that a learned propagation has to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vss_ros.engine.layers.blocks import coarsen
from vss_ros.engine.propagation.base import PROPAGATIONS, Propagation, Shapes, Space

if TYPE_CHECKING:
    from torch import Tensor

    from vss_ros.engine.view import View

FINEST = 4
"""Smallest stride logits are moved at; a network with finer ones is answered at its own on key frames."""


@PROPAGATIONS.register('flow_warp', paper='Zhu et al. 2017, Deep Feature Flow')
class FlowWarp(Propagation):
    """Warps the previous frame's logits along the motion; nothing is learned.

    Deep Feature Flow warps features from the key frame along a learned flow. As the floor for the five
    systems this one warps what is finer and needs no network: the logits, frame by frame.
    """

    space = Space.SEGMENTATION
    frame_by_frame = True
    needs_low = False
    motion = 'dis'

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        self.stride = max(shapes.high_stride, FINEST)

    def propagate(self, source: Tensor, source_high: Tensor, current: Tensor, view: View) -> Tensor:  # noqa: ARG002
        """Return the warped logits ``(N, C, H/stride, W/stride)``."""
        field = view.motion.at(self.stride)
        return field.warp(coarsen(source_high, field.flow.shape[-1]))
