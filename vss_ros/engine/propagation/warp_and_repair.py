"""This project's fast track: the key frame's logits warped, and repaired by a look at the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, pixel_shuffle

from vss_ros.engine.layers.blocks import (
    InvertedResidual,
    coarsen,
    conv_bn,
    depthwise_bn,
    resize_like,
    zeroed,
)
from vss_ros.engine.propagation.base import PROPAGATIONS, Switch
from vss_ros.engine.propagation.flow_warp import FlowWarp

if TYPE_CHECKING:
    from vss_ros.engine.propagation.base import Shapes
    from vss_ros.engine.view import View

FOLD = 2
"""Logits cells per cell of the network, along a side: it works at stride 8 and answers at stride 4."""
WIDTH, DEEP, DEEPEST = 32, 64, 128
"""Channels at the network's stride, twice and four times it."""
EXPANSION = 2
TRUST = 3.0
"""What the gate's sigmoid sees before training: 0.95 of the warped logits are kept."""


@PROPAGATIONS.register(
    'warp_and_repair', paper="this project's own, after GSVNet and AR-Seg (Hu et al. 2023)"
)
class WarpAndRepair(FlowWarp):
    """Key frame's logits warped in one hop, gated and repaired by a tiny network of its own.

    Nothing of the segmentation network runs between key frames, and nothing here grows with it: the class
    probabilities that the motion brings, how far the image that it brings is from the current one, and the
    current image at half its size are folded to stride 8, looked at with context up to stride 32, and
    unfolded to a gate and a repair per class at the logits' stride. So it serves any network, and a better
    one in the slow track costs the fast one nothing.

    ``logits = gate * warped + repair``; untrained, the repair is zero and the gate 0.95.
    """

    frame_by_frame = False
    motion = 'dis_half'  # half a millisecond in place of two; what it misses is repaired
    prepares_pixels = True
    switches: ClassVar = {'repair = 0': Switch('repair', (0.0,))}

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        classes = shapes.high_channels
        self.finer = max(self.stride // 2, 1)
        self.image_strides = (self.finer,)
        self.fold_image = FOLD * self.stride // self.finer
        self.brought = nn.Conv2d(classes + 3, WIDTH, FOLD, FOLD, bias=False)
        self.image = nn.Conv2d(3, WIDTH, self.fold_image, self.fold_image, bias=False)
        self.entry = nn.Sequential(nn.BatchNorm2d(WIDTH), nn.ReLU(inplace=True))
        self.fine = InvertedResidual(WIDTH, WIDTH, 3, 1, EXPANSION)
        self.context = nn.Sequential(
            InvertedResidual(WIDTH, DEEP, 3, 2, EXPANSION), InvertedResidual(DEEP, DEEP, 5, 1, EXPANSION)
        )
        self.wide_context = nn.Sequential(
            InvertedResidual(DEEP, DEEPEST, 3, 2, EXPANSION),
            InvertedResidual(DEEPEST, DEEPEST, 5, 1, EXPANSION),
            InvertedResidual(DEEPEST, DEEPEST, 5, 1, EXPANSION),
        )
        self.from_wide = nn.Sequential(*conv_bn(DEEPEST, DEEP, 1))
        self.join_context = InvertedResidual(DEEP, DEEP, 3, 1, EXPANSION)
        self.from_context = nn.Sequential(*conv_bn(DEEP, WIDTH, 1))
        self.join = InvertedResidual(WIDTH, WIDTH, 3, 1, EXPANSION)
        self.answer = nn.Sequential(*depthwise_bn(WIDTH), nn.ReLU(inplace=True))
        self.repair = zeroed(nn.Conv2d(WIDTH, FOLD**2 * classes, 1))
        self.gate = zeroed(nn.Conv2d(WIDTH, FOLD**2, 1))
        nn.init.constant_(self.gate.bias, TRUST)  # type: ignore[arg-type]

    def prepare(self, view: View) -> Tensor:
        """Return the image at the stride of the logits, ``(N, 3, H/stride, W/stride)``."""
        return view.small(self.stride)

    def propagate(self, source: Tensor, source_high: Tensor, current: Tensor, view: View) -> Tensor:
        """Return logits ``(N, C, H/stride, W/stride)``."""
        field = view.motion.at(self.stride)
        logits = coarsen(source_high, field.flow.shape[-1])
        warped, before = field.warp(torch.cat((logits, source), 1)).split((logits.shape[1], 3), 1)
        residual = (current - before).abs()
        brought = self.brought(_whole_cells(torch.cat((warped.softmax(1), residual), 1), FOLD))
        seen = self.fine(
            self.entry(brought + self.image(_whole_cells(view.small(self.finer), self.fold_image)))
        )
        half = self.context(seen)
        half = self.join_context(half + resize_like(self.from_wide(self.wide_context(half)), half))
        seen = self.answer(self.join(seen + resize_like(self.from_context(half), seen)))
        height, width = warped.shape[-2:]
        gate = pixel_shuffle(self.gate(seen), FOLD)[..., :height, :width].sigmoid()
        answer: Tensor = gate * warped + pixel_shuffle(self.repair(seen), FOLD)[..., :height, :width]
        return answer


def _whole_cells(x: Tensor, cell: int) -> Tensor:
    """Return maps whose sides are multiples of ``cell``: the outermost values repeat."""
    below, right = -int(x.shape[-2]) % cell, -int(x.shape[-1]) % cell
    return pad(x, (0, right, 0, below), mode='replicate') if below or right else x
