"""Who computes a key frame's high features: the frame itself, or a slow track in the background.

``base`` says what a track is, ``fast_slow`` has the slow one, ``sharing`` what the streams of several cameras
share, in ``turns``; ``worker`` is the thread that a track or a stream has.
"""

from vss_ros.engine.tracks.base import Blocking, SimulatedFastSlow, SlowResult, Track
from vss_ros.engine.tracks.fast_slow import FastSlow

__all__ = ['Blocking', 'FastSlow', 'SimulatedFastSlow', 'SlowResult', 'Track']
