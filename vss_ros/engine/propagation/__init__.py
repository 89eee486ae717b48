"""Propagations, one file each: an earlier frame's features moved to the current one.

A decorator registers them. Read ``base`` first, then ``reuse`` and ``flow_warp`` (nothing learned),
``refined_warping`` (the default) and the papers' methods. A file holds the method's network, its own
training loss and the switches that turn its corrections off.
"""

from vss_ros.engine.propagation.base import PROPAGATIONS, Propagation
from vss_ros.engine.registry import import_members

__all__ = ['PROPAGATIONS', 'Propagation']

import_members(__name__, __path__)
