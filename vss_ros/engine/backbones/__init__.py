"""Segmentation networks, one file each, registered by a decorator.

Read ``base`` first: every network is cut into a cheap part, an expensive part and a head. Then
``efficientnet_lite_fpn`` (the default), ``interior`` (networks that can be cut at several layers) and
``external`` (a user's own network from a file).
"""

from vss_ros.engine.backbones.base import BACKBONES, Backbone
from vss_ros.engine.registry import import_members

__all__ = ['BACKBONES', 'Backbone']

import_members(__name__, __path__)
