"""A key frame every so many frames, as Clockwork and Deep Feature Flow have it."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

from vss_ros.engine.schedulers.base import SCHEDULERS, Scheduler

if TYPE_CHECKING:
    from torch import Tensor

    from vss_ros.engine.view import View


@SCHEDULERS.register('fixed_interval', paper='Zhu et al. 2017, Deep Feature Flow')
class FixedInterval(Scheduler):
    """Every ``max_interval``-th frame is a key frame; nothing is looked at."""

    default_max_interval = 5

    def score(self, key: Tensor | None, current: Tensor | None, view: View) -> float:  # noqa: ARG002
        """Return NaN: only the distance counts."""
        return nan
