"""Members of the propagation family: one file each, registered by a decorator."""

from vss_ros.engine.propagation.base import PROPAGATIONS, Propagation
from vss_ros.engine.registry import import_members

__all__ = ['PROPAGATIONS', 'Propagation']

import_members(__name__, __path__)
