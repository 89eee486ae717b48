"""OpenCV's dense inverse search: motion on any CPU without training."""

from __future__ import annotations

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


@MOTIONS.register('dis', paper='Kroeger et al. 2016, Fast Optical Flow using Dense Inverse Search')
class DenseInverseSearch(MotionEstimator):
    """DIS, preset FAST, on grey images of the network's input size; averaged over cells of stride 4.

    Searched at full resolution because flow searched at half of it costs 1 to 2 mIoU within five frames.
    Without the preset's variational refinement, which takes half of the time: on CamVid `val` every
    propagation scores 0.0 to 0.2 mIoU more so.
    """

    stride = 4
    shrink: ClassVar[int] = 1
    """Pixels of the network's input per pixel that is searched, along a side."""

    def __init__(self) -> None:
        super().__init__()
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._search.setVariationalRefinementIterations(0)

    def prepare(self, view: View) -> Tensor:
        """Return grey images ``(N, H, W)`` uint8 on the CPU."""
        greys = [cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) for pixels in view.pixels]
        if self.shrink > 1:
            size = (view.pixels.shape[2] // self.shrink, view.pixels.shape[1] // self.shrink)
            greys = [cv2.resize(grey, size, interpolation=cv2.INTER_AREA) for grey in greys]
        return torch.from_numpy(np.stack(greys))

    def estimate(self, previous: Tensor, current: Tensor, view: View) -> MotionField:
        """Return the field ``(N, 2, H/4, W/4)`` on the device of the view's image."""
        height, width = current.shape[-2:]
        cell = self.stride // self.shrink
        cells = (width // cell, height // cell)
        fields = []
        border = 0, max(SMALLEST - height, 0), 0, max(SMALLEST - width, 0)
        for pair in zip(previous.numpy(), current.numpy(), strict=True):
            before, now = (cv2.copyMakeBorder(image, *border, cv2.BORDER_REPLICATE) for image in pair)
            flow = self._search.calc(now, before, None)[:height, :width]  # type: ignore[call-overload]
            fields.append(cv2.resize(flow, cells, interpolation=cv2.INTER_AREA) / cell)
        flow = torch.from_numpy(np.stack(fields)).movedim(-1, 1)
        return MotionField(flow.to(view.device).contiguous(), self.stride)


@MOTIONS.register('dis_half', paper='Kroeger et al. 2016, Fast Optical Flow using Dense Inverse Search')
class HalfDenseInverseSearch(DenseInverseSearch):
    """The same on images of half the sides: a quarter of the time, for what can repair what it misses."""

    shrink = 2
