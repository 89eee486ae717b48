"""Predicted deviation against a threshold that falls: what has been wrong for long counts too."""

from __future__ import annotations

from typing import ClassVar

from vss_ros.engine.schedulers.base import SCHEDULERS
from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation

USUAL_INTERVAL = 5
"""Frames from key frame to key frame at which this is `predicted_deviation`."""


@SCHEDULERS.register('accumulated_deviation')
class AccumulatedDeviation(PredictedDeviation):
    """Compares the predicted deviation times the frames since the key frame with a threshold.

    The paper's threshold looks at the frame at hand. What a stream loses is the sum over all frames since
    the key frame: where labels change by a share ``a`` each frame, a key frame every L frames loses about
    ``a L / 2`` on average, and the best of all intervals of one cost are those with equal ``a L^2``, so
    ``L ~ 1 / sqrt(a)``. A threshold on ``a L`` gives ``L ~ 1 / a`` instead: too many key frames while
    driving fast, too few while driving slowly. The score times the distance is ``a L^2``. It needs no
    memory of the scores in between; their sum does the same (within 0.1 mIoU).

    The weights are those of `predicted_deviation`, and the threshold means the same at 5 frames' distance.
    """

    weights_of: ClassVar[str] = 'predicted_deviation'

    def weight(self, distance: int) -> float:
        """Return the distance, 1 at the usual one."""
        return distance / USUAL_INTERVAL
