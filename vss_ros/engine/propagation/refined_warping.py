"""This project's own propagation: warp once from the key frame, then look again where it went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from vss_ros.engine.layers.blocks import (
    InvertedResidual,
    conv_bn,
    conv_bn_relu,
    image_residual,
    resize_like,
    zeroed,
)
from vss_ros.engine.propagation.base import PROPAGATIONS, Switch
from vss_ros.engine.propagation.tamed_warping import CorrectedWarping

if TYPE_CHECKING:
    from vss_ros.engine.propagation.base import Shapes
    from vss_ros.engine.view import View

EXPANSION = 3
"""Width of the blocks' depthwise convolutions over their own."""
BELIEVED = 0.5
"""Share of the learned context that is added outside training. All of it fits the stills it was learned from
too well: half scores better than all of it (`val` at 360x480, and a simulated drive)."""
TRUST = 3.0
"""What the gate's sigmoid sees before training: 0.95 of the warped features are kept."""


@PROPAGATIONS.register(
    'refined_warping', paper="this project's own, after the low-latency paper, GSVNet and TWNet"
)
class RefinedWarping(CorrectedWarping):
    """Warped F_h, gated and refined by a small network that sees F_l and what the motion left unexplained.

    What the five systems taught, put together:

    - Features move along estimated motion (GSVNet, TWNet), which reaches further than a kernel of 9 x 9
      cells (low-latency paper), and in one hop from the key frame along the composed motion, so that
      neither interpolation nor corrections add up from frame to frame, training sees what the robot does,
      and a late slow-track result is an ordinary hop.
    - The current F_l is fused in (AdaptNet), but by a network with context: two blocks at F_h's stride
      around three at twice that stride, which see the warped features as well. So a car that came into
      view is segmented by what surrounds it, not by its own 72 channels alone.
    - The warped image's residual (TWNet's RGA, the distortion map) is an input, not a factor: the network
      learns what it means. A gate per cell says how much of the warped features is kept.

    ``F = relu(gate * warped + refinement)``; untrained, the refinement is zero and the gate 0.95. Lateral
    channels, the same values in F_l and F_h, are the current frame's own.
    """

    switches: ClassVar = {'context of the refinement = 0': Switch('context', (0.0,))}

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        width = self.moved
        deep = width + width // 2
        self.entry = conv_bn_relu(width + shapes.low_channels + 3, width, 1)
        self.fine = InvertedResidual(width, width, 3, 1, EXPANSION)
        self.context = nn.Sequential(
            InvertedResidual(width, deep, 3, 2, EXPANSION),
            InvertedResidual(deep, deep, 5, 1, EXPANSION),
            InvertedResidual(deep, deep, 5, 1, EXPANSION),
            *conv_bn(deep, width, 1),
        )
        self.join = InvertedResidual(width, width, 3, 1, EXPANSION)
        self.refine = zeroed(nn.Conv2d(width, width + 1, 3, 1, 1))
        nn.init.constant_(self.refine.bias[-1:], TRUST)  # type: ignore[index]

    def propagate(self, source: Tensor, source_high: Tensor, current: Tensor, view: View) -> Tensor:
        """Return the current F_h, ``(N, high_channels, H, W)``."""
        warped = self.warped(source_high, view)
        residual = image_residual(source, current, view.motion.at(self.image_stride), warped.shape[-1])
        seen = self.fine(self.entry(torch.cat((warped, resize_like(view.low, warped), residual), 1)))
        context = resize_like(self.context(seen), seen)
        seen = self.join(torch.add(seen, context, alpha=1.0 if self.training else BELIEVED))
        refinement, gate = self.refine(seen).split((self.moved, 1), 1)
        features = torch.relu(torch.addcmul(refinement, warped, gate.sigmoid()))
        return self.with_lateral(features, view)
