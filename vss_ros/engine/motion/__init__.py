"""Motion estimators, one file each; the decorator registers them. Read ``base`` and ``field`` first."""

from vss_ros.engine.motion.base import MOTIONS, MotionEstimator
from vss_ros.engine.motion.field import MotionField
from vss_ros.engine.registry import import_members

__all__ = ['MOTIONS', 'MotionEstimator', 'MotionField']

import_members(__name__, __path__)
