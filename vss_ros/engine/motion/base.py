"""Motion estimators: base class, registry, and what one stream remembers of its motion."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from vss_ros.engine.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from vss_ros.engine.motion.field import MotionField
    from vss_ros.engine.view import View


class MotionEstimator(nn.Module, ABC):
    """Finds where the content of a frame was in the frame before; keeps no state of the stream."""

    stride: ClassVar[int]
    """Network input pixels per cell of the fields it returns."""

    @abstractmethod
    def prepare(self, view: View) -> Tensor:
        """Return what is needed of a frame, a tensor of its own: the view's buffers are reused."""

    @abstractmethod
    def estimate(self, previous: Tensor, current: Tensor, view: View) -> MotionField:
        """Return the motion from the current frame, ``view``, to the previous, by ``prepare()`` of either."""

    def forward(self, previous: View, current: View) -> MotionField:
        """Return the motion from one view to another, as training does."""
        return self.estimate(self.prepare(previous), self.prepare(current), current)


MOTIONS: Registry[MotionEstimator] = Registry('motion estimator')


class MotionTrail:
    """Owns what motion estimation remembers from frame to frame; without an estimator, nothing.

    Args:
        estimate: Takes the place of the estimator's own ``estimate``.
    """

    def __init__(
        self,
        estimator: MotionEstimator | None,
        estimate: Callable[[Tensor, Tensor, View], MotionField] | None = None,
    ) -> None:
        self._estimator = estimator
        self._estimate = estimate if estimate is not None or estimator is None else estimator.estimate
        self._previous: Tensor | None = None
        self._since_key: MotionField | None = None

    def follow(self, view: View) -> View:
        """Return the view of the next frame with its motion, where there is a frame before it."""
        if self._estimator is None or self._estimate is None:
            return view
        previous, self._previous = self._previous, self._estimator.prepare(view)
        if previous is None:
            return view
        field = self._estimate(previous, self._previous, view)
        self._since_key = field if self._since_key is None else field.compose(self._since_key)
        return view.replace(motion=field, since_key=self._since_key)

    def mark_key_frame(self) -> None:
        """Count the motion of later frames from the last frame followed."""
        self._since_key = None

    def reset(self) -> None:
        """Forget the stream."""
        self._previous = self._since_key = None
