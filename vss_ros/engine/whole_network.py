"""How a key frame's features are computed, and how features become logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vss_ros.engine.propagation.base import Space

if TYPE_CHECKING:
    from torch import Tensor

    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.propagation import Propagation
    from vss_ros.engine.schedulers import Scheduler
    from vss_ros.engine.view import View


class WholeNetwork:
    """The backbone, cut where the propagation and the scheduler need it.

    What is cached of a key frame is F_h or, where the propagation moves logits, the logits. Where neither
    propagation nor scheduler looks at F_l, the backbone's low part runs on key frames only, together with its
    high part (GSVNet, section 3).
    """

    def __init__(self, backbone: Backbone, propagation: Propagation | None, scheduler: Scheduler) -> None:
        self._backbone = backbone
        self._moves_logits = propagation is not None and propagation.space is Space.SEGMENTATION
        self.needs_low = propagation is None or propagation.needs_low or scheduler.needs_low

    def entry(self, view: View) -> Tensor:
        """Return what ``compute`` starts from; the image is valid for this frame only."""
        return view.low if self.needs_low else view.image

    def compute(self, entry: Tensor) -> Tensor:
        """Return what is cached of a key frame, from its ``entry``."""
        high = self._backbone.high(entry if self.needs_low else self._backbone.low(entry))
        return self._backbone.head(high) if self._moves_logits else high

    def logits(self, cached: Tensor) -> Tensor:
        """Return logits of cached or propagated features."""
        return cached if self._moves_logits else self._backbone.head(cached)
