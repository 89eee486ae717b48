"""The cheapest propagation: the key frame's features as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vss_ros.engine.propagation.base import PROPAGATIONS, Propagation

if TYPE_CHECKING:
    from torch import Tensor


@PROPAGATIONS.register('reuse', paper='Shelhamer et al. 2016, Clockwork Convnets')
class Reuse(Propagation):
    """The key frame's high features, not moved at all: what every other propagation has to beat."""

    def propagate(self, key: Tensor, key_high: Tensor, current: Tensor, low: Tensor) -> Tensor:  # noqa: ARG002
        """Return the key frame's F_h."""
        return key_high
