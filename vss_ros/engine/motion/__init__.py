"""Members of the motion family: one file each, registered by a decorator."""

from vss_ros.engine.motion.base import MOTIONS, MotionEstimator
from vss_ros.engine.motion.field import MotionField
from vss_ros.engine.registry import import_members

__all__ = ['MOTIONS', 'MotionEstimator', 'MotionField']

import_members(__name__, __path__)
