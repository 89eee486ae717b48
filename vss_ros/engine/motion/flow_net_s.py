"""FlowNet-S: a learned flow network of the size the distortion-aware paper uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from vss_ros.engine.layers.blocks import resize_like, zeroed
from vss_ros.engine.motion.base import MOTIONS, MotionEstimator
from vss_ros.engine.motion.field import MotionField

if TYPE_CHECKING:
    from vss_ros.engine.view import View

ENCODER = (64, 128, 256, 512, 512, 1024)
"""Channels of conv1 to conv6, each of which halves the resolution."""
KERNELS = (7, 5, 5, 3, 3, 3)
DECODER = (512, 256, 128, 64)
"""Channels of the upconvolutions at strides 32, 16, 8 and 4."""
SLOPE = 0.1
"""Of the leaky ReLU below zero (Dosovitskiy et al. 2015)."""


class FlowStep(nn.Module):
    """One step of the decoder: twice the resolution, encoder features and the coarser flow joined."""

    def __init__(self, in_channels: int, up_channels: int, skip_channels: int) -> None:
        super().__init__()
        self.up = nn.Sequential(
            nn.ConvTranspose2d(in_channels, up_channels, 4, 2, 1), nn.LeakyReLU(SLOPE, inplace=True)
        )
        self.out_channels = up_channels + skip_channels + 2
        self.predict = flow_prediction(self.out_channels)

    def forward(self, deep: Tensor, flow: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        """Return features ``(N, out_channels, H, W)`` and flow ``(N, 2, H, W)`` of the skip's size."""
        height, width = skip.shape[-2:]
        up = self.up(deep)[..., :height, :width]  # one cell too many where the encoder rounded up
        joined = torch.cat((skip, up, resize_like(flow, skip)), 1)
        return joined, self.predict(joined)


@MOTIONS.register('flow_net_s', paper='Dosovitskiy et al. 2015, FlowNet; used by Zhuang et al. 2020')
class FlowNetS(MotionEstimator):
    """Both images stacked, six strided convolutions down, four upconvolutions to stride 4.

    Layers are FlowNet's (section 3, Figures 2 and 3 there); all flows are in cells of stride 4 at every
    level, and the coarser flow is upsampled bilinearly where FlowNet learns that.

    The distortion-aware paper's FlowNet2-S counts 86.918 GFLOPs at 1024 x 2048 (Table II); three eighths of
    FlowNet's width on whole images, as in its authors' published code, make 86.895 by its Table I. On a CPU
    that costs more than most networks here. A quarter of the width, 2.4 M parameters and 25 GFLOPs at
    1024 x 2048, keeps the fine cells and takes 30 ms at 360 x 480 on one thread.
    """

    stride = 4

    def __init__(self, width: float = 0.25) -> None:
        super().__init__()
        encoder = [round(channels * width) for channels in ENCODER]
        decoder = [round(channels * width) for channels in DECODER]
        before = [6, *encoder]
        # From conv3 on a second convolution follows at the same resolution.
        self.encoder = nn.ModuleList(
            nn.Sequential(
                conv_leaky(before[i], encoder[i], kernel, 2),
                *([conv_leaky(encoder[i], encoder[i])] if i >= 2 else []),
            )
            for i, kernel in enumerate(KERNELS)
        )
        self.coarsest = flow_prediction(encoder[-1])
        deep, steps = encoder[-1], []
        for up, skip in zip(decoder, encoder[-2:0:-1], strict=True):
            steps.append(FlowStep(deep, up, skip))
            deep = steps[-1].out_channels
        self.decoder = nn.ModuleList(steps)

    def prepare(self, view: View) -> Tensor:
        """Return the image, ``(N, 3, H, W)`` float32."""
        return centred_cells(view, 1)

    def pyramid(self, previous: Tensor, current: Tensor) -> list[Tensor]:
        """Return the flows at strides 4, 8, 16, 32 and 64, in cells of stride 4, for a loss on each."""
        x, skips = torch.cat((current, previous), 1), []
        for layer in self.encoder:
            x = layer(x)
            skips.append(x)
        flows = [self.coarsest(x)]
        for step, skip in zip(self.decoder, skips[-2:0:-1], strict=True):
            x, flow = step(x, flows[0], skip)
            flows.insert(0, flow)
        return flows

    def estimate(self, previous: Tensor, current: Tensor, view: View) -> MotionField:  # noqa: ARG002
        """Return the field ``(N, 2, H/4, W/4)``."""
        return MotionField(self.pyramid(previous, current)[0], self.stride)


def conv_leaky(
    in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Return convolution and leaky ReLU: ``(N, in, H, W) -> (N, out, ceil(H/stride), ceil(W/stride))``.

    Without batch norm, as FlowNet: a pair of images has no statistics that the next could use.
    """
    convolution = nn.Conv2d(
        in_channels, out_channels, kernel, stride, dilation * (kernel // 2), dilation=dilation
    )
    nn.init.kaiming_normal_(convolution.weight, SLOPE)
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    return nn.Sequential(convolution, nn.LeakyReLU(SLOPE, inplace=True))


def flow_prediction(in_channels: int) -> nn.Conv2d:
    """Return the 3x3 convolution to x and y, ``(N, in, H, W) -> (N, 2, H, W)``; untrained: no motion."""
    return zeroed(nn.Conv2d(in_channels, 2, 3, 1, 1))


def centred_cells(view: View, stride: int) -> Tensor:
    """Return a view's pixels averaged over cells, ``(N, 3, H/stride, W/stride)`` in -0.5..0.5.

    A tensor of its own, on the view's device. From the pixels rather than the normalised image: the
    statistics are the segmentation network's, and flow weights shall fit all networks.
    """
    pixels = view.pixels
    if stride > 1:
        cells = (pixels.shape[2] // stride, pixels.shape[1] // stride)
        pixels = np.stack([cv2.resize(image, cells, interpolation=cv2.INTER_AREA) for image in pixels])
    floats = torch.from_numpy(pixels).to(view.device, torch.float32, copy=True)
    return floats.div_(255.0).sub_(0.5).movedim(-1, 1)
