"""TWNet: warp features, then correct them where the image shows that the motion was wrong."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from vss_ros.engine.layers.blocks import image_residual, resize_like, zeroed
from vss_ros.engine.propagation.base import PROPAGATIONS, Propagation, Switch

if TYPE_CHECKING:
    from vss_ros.engine.pair_batch import Hop
    from vss_ros.engine.propagation.base import Shapes
    from vss_ros.engine.view import View

IMAGE_STRIDE = 4
"""Coarsest stride at which images are warped and compared; finer than most features, as the paper has it."""
CONSISTENCY_WEIGHT = 10.0
"""lambda_1 of Eq. 8 (section 5.2.2: best of 0, 1, 10 and 20)."""


class CorrectedWarping(Propagation):
    """F_h warped along the motion and corrected; lateral channels, its last, are the current frame's own."""

    motion = 'dis'

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        self.lateral = shapes.lateral_channels
        self.moved = shapes.high_channels - self.lateral
        self.image_stride = min(IMAGE_STRIDE, shapes.high_stride)
        self.image_strides = (self.image_stride,)

    def prepare(self, view: View) -> Tensor:
        """Return the image at stride 4, ``(N, 3, H/4, W/4)``."""
        return view.small(self.image_stride)

    def warped(self, source_high: Tensor, view: View) -> Tensor:
        """Return the source's F_h without lateral channels, moved to the current frame."""
        return view.motion.at(self.shapes.high_stride).warp(source_high[:, : self.moved])

    def with_lateral(self, corrected: Tensor, view: View) -> Tensor:
        """Return F_h, ``(N, high_channels, H, W)``, of its corrected channels."""
        return torch.cat((corrected, view.low[:, -self.lateral :]), 1) if self.lateral else corrected

    def training_loss(self, hop: Hop) -> tuple[Tensor, Tensor]:
        """Return F_t and how far it is from the whole network's F_h (TWNet, Eq. 8)."""
        answer = self(hop.source, hop.source_high, hop.view)
        return answer, consistency_loss(answer, hop.batch.high, self.lateral)


@PROPAGATIONS.register('tamed_warping', paper='Feng et al. 2020, Tamed Warping Network')
class TamedWarping(CorrectedWarping):
    """Warped features plus a learned residual, gated by the image's own residual (Eqs. 4 to 7).

    F^ is the source frame's features warped; one 3x3 convolution of [F^, f_t] gives the residual (CFR, Eq.
    5); one 3x3 convolution of how far the warped source image is from the current one gives the attention A
    (RGA, Eq. 6); F_t = F^ + A * residual (Eq. 7).

    Of a backbone whose F_h ends in lateral channels only the others are warped and corrected; the lateral
    ones are the current frame's. That is the paper's non-key-frame network (section 4.2), whose head layers
    run on every frame. Backbones without them have all of F_h warped.

    Decided, against the paper in the first point and where it is silent in the others:

    - The source is the key frame, reached in one hop along the composed motion, where the paper takes the
      previous frame with its corrected features. Corrections of corrections drift, and training would have
      to see as many hops as the robot makes: even weights trained for hopping frame by frame score 62.4 mIoU
      so at distance 9, in one hop 68.5 (default backbone, CamVid val).
    - f_t is F_l without its lateral channels (all of it where nothing else is left), at F_h's stride and,
      where it is wider, brought to F_h's width by a 1x1 convolution. Table 3 charges CFR's layer 2.42 G,
      which leaves room for no wider f_t; the lateral connections' 1x1 convolutions have that width, too.
    - The paper's image residual comes from the codec, at full resolution; here it is computed with the
      motion in use, at stride 4, and averaged to F_h's. Its magnitude, since A has to see "regions with
      higher responses".
    - A has one channel (Table 3 charges RGA 1.2 to 2.9 MFLOPs, too few for more) and ends in a sigmoid.
    - The sum passes a ReLU. F_h follows one in every backbone here, and heads were trained on that.
    """

    switches: ClassVar = {
        'CFR: residual = 0': Switch('rectify', (0.0,)),
        'RGA: A = 1': Switch('attend', (inf,)),
    }

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        self.spatial = shapes.low_channels - self.lateral or shapes.low_channels
        width = min(self.spatial, self.moved)
        self.reduce = nn.Conv2d(self.spatial, width, 1) if self.spatial > width else nn.Identity()
        self.rectify = zeroed(nn.Conv2d(self.moved + width, self.moved, 3, 1, 1))
        self.attend = nn.Conv2d(3, 1, 3, 1, 1)

    def attention(self, source: Tensor, current: Tensor, view: View) -> Tensor:
        """Return A ``(N, 1, H, W)`` in 0..1, by what the motion leaves unexplained of the image (Eq. 6)."""
        width = current.shape[-1] * self.image_stride // self.shapes.high_stride
        residual = image_residual(source, current, view.motion.at(self.image_stride), width)
        return self.attend(residual).sigmoid()  # type: ignore[no-any-return]

    def propagate(self, source: Tensor, source_high: Tensor, current: Tensor, view: View) -> Tensor:
        """Return the current F_h, ``(N, high_channels, H, W)``."""
        warped = self.warped(source_high, view)
        spatial = self.reduce(view.low[:, : self.spatial])
        residual = self.rectify(torch.cat((warped, resize_like(spatial, warped)), 1))
        corrected = torch.relu(warped + self.attention(source, current, view) * residual)
        return self.with_lateral(corrected, view)


def consistency_loss(corrected: Tensor, true: Tensor, lateral_channels: int = 0) -> Tensor:
    """Return the last term of Eq. 8, ``lambda_1 * L_consist``, without the cross entropy.

    L2 distance as the mean of squared differences over all cells and channels (section 4.3.1 says "L2" and
    "minimize the distance", and gives no norm), so that it does not depend on the size of the image.

    Args:
        corrected: F_t as propagated, ``(N, C, H, W)``.
        true: The same frame's F_h by the whole network; nothing is learned through it.
        lateral_channels: Last channels, left out: they are the current frame's own in both.
    """
    moved = corrected.shape[1] - lateral_channels
    return CONSISTENCY_WEIGHT * mse_loss(corrected[:, :moved], true[:, :moved].detach())
