"""Schedulers, registered by a decorator: they decide which frames are key frames.

Read ``base`` first, then ``fixed_interval`` (the simplest), ``predicted_deviation`` (trained, with its loss,
and the default, which has the same weights and another threshold) and the others.
"""

from vss_ros.engine.registry import import_members
from vss_ros.engine.schedulers.base import SCHEDULERS, Scheduler

__all__ = ['SCHEDULERS', 'Scheduler']

import_members(__name__, __path__)
