"""OpenCV's dense inverse search: motion on any CPU without training."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, ClassVar

import cv2
import numpy as np
import torch

from vss_ros.engine.motion.base import MOTIONS, MotionEstimator
from vss_ros.engine.motion.field import MotionField

if TYPE_CHECKING:
    from torch import Tensor

    from vss_ros.engine.view import View

SMALLEST = 32
"""Pixels of a side below which OpenCV reads beyond its pyramid, and dies or not."""
AMPLE = 400_000
"""Pixels of the network's input from which on half the sides are searched."""


class _Search(threading.local):
    """The search of each thread: its buffers serve one at a time."""

    def __init__(self) -> None:
        self.search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self.search.setVariationalRefinementIterations(0)


@MOTIONS.register('dis', paper='Kroeger et al. 2016, Fast Optical Flow using Dense Inverse Search')
class DenseInverseSearch(MotionEstimator):
    """DIS, preset FAST, on grey images of the network's input size; averaged over cells of stride 4.

    Searched at full resolution because flow searched at half of it costs 1 to 2 mIoU within five frames. Of
    inputs of over ``AMPLE`` pixels at half all the same: at 704x960 the search takes 1.8 ms so and 7.9 whole,
    and costs 0.2, 0.8 and 1.4 mIoU at distance 1, 2 and 3 (flow_warp on `val`).
    Without the preset's variational refinement, which takes half of the time: on CamVid `val` every
    propagation scores 0.0 to 0.2 mIoU more so.
    """

    stride = 4
    shrink: ClassVar[int] = 1
    """Pixels of the network's input per pixel that is searched, along a side, below ``AMPLE`` pixels."""

    def __init__(self) -> None:
        super().__init__()
        self._of_thread = _Search()

    def prepare(self, view: View) -> Tensor:
        """Return grey images ``(N, H, W)`` uint8 on the CPU."""
        shrink = self._shrink(*view.pixels.shape[1:3])
        images = view.cells(shrink) if shrink > 1 else view.pixels
        return torch.from_numpy(np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]))

    def _shrink(self, height: int, width: int) -> int:
        return max(self.shrink, 2) if height * width > AMPLE else self.shrink

    def estimate(self, previous: Tensor, current: Tensor, view: View) -> MotionField:
        """Return the field ``(N, 2, H/4, W/4)`` on the device of the view's image."""
        height, width = current.shape[-2:]
        cell = self.stride // self._shrink(*view.pixels.shape[1:3])
        cells = (width // cell, height // cell)
        fields = []
        border = 0, max(SMALLEST - height, 0), 0, max(SMALLEST - width, 0)
        for pair in zip(previous.numpy(), current.numpy(), strict=True):
            before, now = (cv2.copyMakeBorder(image, *border, cv2.BORDER_REPLICATE) for image in pair)
            flow = self._of_thread.search.calc(now, before, None)[:height, :width]  # type: ignore[call-overload]
            fields.append(cv2.resize(flow, cells, interpolation=cv2.INTER_AREA) / cell)
        flow = torch.from_numpy(np.stack(fields)).movedim(-1, 1)
        return MotionField(flow.to(view.device).contiguous(), self.stride)


@MOTIONS.register('dis_half', paper='Kroeger et al. 2016, Fast Optical Flow using Dense Inverse Search')
class HalfDenseInverseSearch(DenseInverseSearch):
    """The same on images of half the sides: a quarter of the time, for what can repair what it misses."""

    shrink = 2
