"""Base class and registry of motion estimators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from vss_ros.engine.registry import Registry

if TYPE_CHECKING:
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
        """Return the motion from the current frame to the previous.

        Args:
            previous: ``prepare()`` of the previous frame.
            current: ``prepare()`` of the current frame.
            view: The current frame.
        """

    def forward(self, previous: View, current: View) -> MotionField:
        """Return the motion from one view to another, as training does."""
        return self.estimate(self.prepare(previous), self.prepare(current), current)


MOTIONS: Registry[MotionEstimator] = Registry('motion estimator')
