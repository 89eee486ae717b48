"""The motion of one stream: from each frame to the one before, and all the way to the key frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from vss_ros.engine.motion.base import MotionEstimator
    from vss_ros.engine.motion.field import MotionField
    from vss_ros.engine.view import View


class MotionTrail:
    """Owns what motion estimation remembers from frame to frame.

    Args:
        estimator: Finds the motion between neighbouring frames; None where no part needs motion.
    """

    def __init__(self, estimator: MotionEstimator | None) -> None:
        self._estimator = estimator
        self._previous: Tensor | None = None
        self._since_key: MotionField | None = None

    def follow(self, view: View) -> View:
        """Return the view of the next frame with its motion, where there is a frame before it."""
        if self._estimator is None:
            return view
        previous, self._previous = self._previous, self._estimator.prepare(view)
        if previous is None:
            return view
        field = self._estimator.estimate(previous, self._previous, view)
        self._since_key = field if self._since_key is None else field.compose(self._since_key)
        return view.replace(motion=field, since_key=self._since_key)

    def mark_key_frame(self) -> None:
        """Count the motion of later frames from the last frame followed."""
        self._since_key = None

    def reset(self) -> None:
        """Forget the stream."""
        self._previous = self._since_key = None
