"""Members of the backbones family: one file each, registered by a decorator."""

from vss_ros.engine.backbones.base import BACKBONES, Backbone
from vss_ros.engine.registry import import_members

__all__ = ['BACKBONES', 'Backbone']

import_members(__name__, __path__)
