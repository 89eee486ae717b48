"""Schedulers, one file each, registered by a decorator: they decide which frames are key frames.

Read ``base`` first, then ``fixed_interval`` (the simplest), ``predicted_deviation`` (trained; its loss lies
in its file), ``accumulated_deviation`` (the same weights, another threshold) and the others.
"""

from vss_ros.engine.registry import import_members
from vss_ros.engine.schedulers.base import SCHEDULERS, Scheduler

__all__ = ['SCHEDULERS', 'Scheduler']

import_members(__name__, __path__)
