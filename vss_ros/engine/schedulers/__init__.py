"""Members of the schedulers family: one file each, registered by a decorator."""

from vss_ros.engine.registry import import_members
from vss_ros.engine.schedulers.base import SCHEDULERS, Scheduler

__all__ = ['SCHEDULERS', 'Scheduler']

import_members(__name__, __path__)
