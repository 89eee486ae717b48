"""The cheapest propagation: the key frame's answer as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vss_ros.engine.propagation.base import PROPAGATIONS, Propagation, Space

if TYPE_CHECKING:
    from torch import Tensor

    from vss_ros.engine.view import View


@PROPAGATIONS.register('reuse', paper='Shelhamer et al. 2016, Clockwork Convnets')
class Reuse(Propagation):
    """The key frame's logits, not moved at all: what every other propagation has to beat."""

    space = Space.SEGMENTATION
    needs_low = False

    def propagate(self, source: Tensor, source_high: Tensor, current: Tensor, view: View) -> Tensor:  # noqa: ARG002
        """Return the key frame's logits."""
        return source_high
