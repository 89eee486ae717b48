"""Motion estimators, one file each, registered by a decorator.

Read ``field`` first (what motion is), then ``base`` (what an estimator offers, and the trail from the current
frame to the key frame), ``dis`` (the default) and the others.
"""

from vss_ros.engine.motion.base import MOTIONS, MotionEstimator
from vss_ros.engine.motion.field import MotionField
from vss_ros.engine.registry import import_members

__all__ = ['MOTIONS', 'MotionEstimator', 'MotionField']

import_members(__name__, __path__)
