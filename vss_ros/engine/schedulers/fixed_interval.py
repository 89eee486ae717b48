"""A key frame every so many frames, as Clockwork and Deep Feature Flow have it."""

from __future__ import annotations

from vss_ros.engine.schedulers.base import SCHEDULERS, Scheduler


@SCHEDULERS.register('fixed_interval', paper='Zhu et al. 2017, Deep Feature Flow')
class FixedInterval(Scheduler):
    """Every ``max_interval``-th frame is a key frame; nothing is looked at."""

    default_max_interval = 5
