"""A key frame whenever the slow track is free, unless nothing has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vss_ros.engine.schedulers.base import SCHEDULERS
from vss_ros.engine.schedulers.flow_residual import NOISE, STRIDE, FlowResidual

if TYPE_CHECKING:
    from torch import Tensor

    from vss_ros.engine.view import View

MOVED = 0.75
"""Network input pixels since the key frame beyond which a cell has moved; a standing scene stays below."""


@SCHEDULERS.register('keep_busy')
class KeepBusy(FlowResidual):
    """Share of cells that have moved since the key frame, or that motion does not explain.

    Where nothing of the network runs on the fast track, a key frame costs the frame in hand nothing, and the
    only question is which frame the slow track takes next: the newest, as soon as it is free. It rests while
    the scene stands still, up to the longest interval. How much of the machine it may take is not the
    scheduler's to say but the track's (``slow_duty``).
    """

    rests = True
    default_threshold = 0.02

    def is_still(self, last: Tensor | None, current: Tensor | None) -> bool:
        """Tell whether no cell differs by more than noise: what is small and moves is wider than one."""
        if last is None or current is None or last.shape != current.shape:
            return False
        return bool((current - last).abs().max() <= NOISE)

    def measure(self, key: Tensor | None, current: Tensor | None, view: View) -> Tensor:
        """Return the share of cells that moved or changed, 0 to 1."""
        field = view.since_key
        assert field is not None  # see needs_motion
        unexplained = self.unexplained(key, current, view)
        moved = field.at(STRIDE).flow.square().sum(1, keepdim=True) > (MOVED / STRIDE) ** 2
        return (unexplained | moved).float().mean()
