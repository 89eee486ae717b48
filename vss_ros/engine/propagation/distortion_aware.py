"""Distortion-aware feature correction: what the motion got wrong is taken from the current image."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch.nn.functional import avg_pool2d

from vss_ros.engine.layers.distortion import PAPER_WIDTH, CFNet, DMNet, correct
from vss_ros.engine.propagation.base import PROPAGATIONS
from vss_ros.engine.propagation.flow_warp import FlowWarp

if TYPE_CHECKING:
    from torch import Tensor

    from vss_ros.engine.propagation.base import Shapes
    from vss_ros.engine.view import View

NARROWEST = 8
"""Channels of CFNet's first convolution beside the narrowest networks."""


class Correction(NamedTuple):
    """What one frame is put together from."""

    propagated: Tensor
    """f_P ``(N, C, H, W)``."""
    cues: Tensor
    """f_CC, of the same shape."""
    distortion: Tensor
    """M ``(N, 1, H, W)`` in 0..1."""


@PROPAGATIONS.register(
    'distortion_aware',
    paper='Zhuang et al. 2021, Distortion-Aware Feature Correction',
)
class DistortionAware(FlowWarp):
    """Key frame's logits warped, and corrected where the image warped alike does not match.

    Section III: f_P is warped along the motion, and so is the source image; DMNet compares the warped
    image with the current one (Eqs. 1, 2), CFNet extracts correction cues from the current one, and M
    blends the two (Eq. 4). Only images are looked at, so no frame between key frames computes F_l.

    Decided here:

    - The paper says "features" and not which. Its Table II leaves CFNet room for as many channels as there
      are classes and no more (123.7 GFLOPs with 19, 129.8 with 256; stated are 123.775), and the authors'
      published code moves DeepLabv3+'s logits at stride 4. So logits are what moves, as in ``FlowWarp``,
      and any network can be corrected, one without features too.
    - The source is the key frame, reached in one hop along the composed motion, image and logits alike: M
      says what all motion since got wrong. The text propagates the previous frame's (section III.A) and the
      authors' published code passes f_P and the warped image on, uncorrected, which is the same hop but for
      interpolating at every frame. Passing the corrected f_C on drifts: 62.7 at distance 5 and 49.1 at
      distance 9, where the same weights score 67.5 and 63.5 in one hop (default backbone, every eighth
      frame of CamVid val).
    - DMNet sees the image averaged to the logits' stride. CFNet ends at a quarter of its input's sides,
      and sees an image of four times the logits' sides: the whole one at stride 4, half of it at stride 8.
    - CFNet's widths are the paper's 32 to 512 beside F_h of 256 channels or more (the paper's
      DeepLabv3+), and in proportion to F_h beside narrower ones, down to a quarter, so that correction
      stays cheap beside whatever network it serves.
    - CFNet's last convolution starts at zero, where Eq. 4 scales f_P and changes no label: an untrained
      module answers as ``flow_warp`` does.
    """

    frame_by_frame = False
    motion = 'dis'

    def __init__(self, shapes: Shapes) -> None:
        """Build DMNet and CFNet."""
        super().__init__(shapes)
        self.distortion = DMNet()
        width = min(max(shapes.feature_channels // 8, NARROWEST), PAPER_WIDTH)
        self.cues = CFNet(shapes.high_channels, width)

    def prepare(self, view: View) -> Tensor:
        """Return the image at the stride of the logits, ``(N, 3, H/stride, W/stride)``."""
        return avg_pool2d(view.image, self.stride)

    def corrections(self, source: Tensor, source_high: Tensor, current: Tensor, view: View) -> Correction:
        """Return f_P, f_CC and M, which are trained each by a loss of its own (Eqs. 3, 5, 6).

        Args:
            source: ``prepare()`` of the source frame.
            source_high: Its logits.
            current: ``prepare()`` of the current frame.
            view: The current frame.

        """
        propagated = super().propagate(source, source_high, current, view)
        warped = view.motion.at(self.stride).warp(source)
        height, width = current.shape[-2:]
        finer = self.stride // 4
        image = avg_pool2d(view.image, finer) if finer > 1 else view.image
        cues = self.cues(image[..., : 4 * height, : 4 * width])
        return Correction(propagated, cues, self.distortion(warped, current))

    def propagate(self, source: Tensor, source_high: Tensor, current: Tensor, view: View) -> Tensor:
        """Return the corrected logits ``(N, C, H/stride, W/stride)``."""
        return correct(*self.corrections(source, source_high, current, view))
