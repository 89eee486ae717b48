"""Members of the schedulers family: one file each, registered by a decorator."""

from vss_ros.engine.schedulers.base import SCHEDULERS, Scheduler
from vss_ros.engine.registry import import_members

__all__ = ['SCHEDULERS', 'Scheduler']

import_members(__name__, __path__)
