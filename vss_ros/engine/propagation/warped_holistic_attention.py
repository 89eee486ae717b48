"""Temporal holistic attention with its one missing part exchanged in: motion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vss_ros.engine.propagation.base import PROPAGATIONS
from vss_ros.engine.propagation.temporal_holistic_attention import TemporalHolisticAttention

if TYPE_CHECKING:
    from torch import Tensor

    from vss_ros.engine.view import View


@PROPAGATIONS.register(
    'warped_holistic_attention', paper='Wu et al. 2020, its features warped as in Feng et al. 2020'
)
class WarpedHolisticAttention(TemporalHolisticAttention):
    """Key frame's F_h warped along the motion, then weighted and added to as the attention paper does.

    The paper leaves F_h where the key frame saw it (Eq. 3): what moves by more than a cell is looked for in
    the wrong place, and attention can only say that it is not there. Here F_h is first brought to where it
    is now. The attention map stays the paper's: it pools over all cells of the key frame, wherever they are,
    and would be much the same if these were warped. With motion there is little left for it to say: the
    trained default scores the same without it (W_a = 1). What helps are motion and the adapted F_l.
    """

    motion = 'dis'

    def propagate(self, source: Tensor, source_high: Tensor, current: Tensor, view: View) -> Tensor:
        """Return F(t), ``(N, high_channels, H, W)``."""
        moved = source_high[:, : self.adapt.out_channels]
        return super().propagate(source, view.motion.at(self.shapes.high_stride).warp(moved), current, view)
