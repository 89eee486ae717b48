"""Predicted deviation against a threshold that falls: what has been wrong for long counts too."""

from __future__ import annotations

from typing import ClassVar

from vss_ros.engine.schedulers.base import SCHEDULERS
from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation

USUAL_INTERVAL = 5
"""Frames from key frame to key frame at which this is `predicted_deviation`."""
EARLY = 4
"""Frames up to which the threshold stays the same, for what differs so soon is another scene.

After a cut the shipped predictor answers 0.21 to 0.37 (CamVid `val` to 13 frames of `test`), and its
threshold for 5 frames is 0.16. Five times that for the first frame would leave the labels of the old scene
standing for two or three frames; the threshold of four frames, 0.20, has a key frame at once, and costs
nothing at the rates of every 5th frame and fewer (0.1 mIoU at every 3rd).
"""


@SCHEDULERS.register('accumulated_deviation')
class AccumulatedDeviation(PredictedDeviation):
    """Compares the predicted deviation times the frames since the key frame with a threshold.

    The paper's threshold looks at the frame at hand. What a stream loses is the sum over all frames since
    the key frame: where labels change by a share ``a`` each frame, a key frame every L frames loses about
    ``a L / 2`` on average, and the best of all intervals of one cost are those with equal ``a L^2``, so
    ``L ~ 1 / sqrt(a)``. A threshold on ``a L`` gives ``L ~ 1 / a`` instead: too many key frames while
    driving fast, too few while driving slowly. The score times the distance is ``a L^2``. It needs no
    memory of the scores in between; their sum does the same (within 0.1 mIoU).

    The weights are those of `predicted_deviation`, and the threshold means the same at 5 frames' distance. It
    falls from 4 frames on: a scene that is another at once is no accumulation.
    """

    weights_of: ClassVar[str] = 'predicted_deviation'

    def weight(self, distance: int) -> float:
        """Return the distance, 1 at the usual one; the first frames count alike."""
        return max(distance, EARLY) / USUAL_INTERVAL
