"""FlowNet-S: a learned flow network of the size the distortion-aware paper uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from vss_ros.engine.layers.blocks import resize_like
from vss_ros.engine.layers.flow_layers import SLOPE, centred_cells, conv_leaky, flow_prediction
from vss_ros.engine.motion.base import MOTIONS, MotionEstimator
from vss_ros.engine.motion.field import MotionField

if TYPE_CHECKING:
    from vss_ros.engine.view import View

ENCODER = (64, 128, 256, 512, 512, 1024)
"""Channels of conv1 to conv6, each of which halves the resolution."""
KERNELS = (7, 5, 5, 3, 3, 3)
DECODER = (512, 256, 128, 64)
"""Channels of the upconvolutions at strides 32, 16, 8 and 4."""


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

    Args:
        width: Factor on the paper's channels.
    """

    stride = 4

    def __init__(self, width: float = 0.25) -> None:
        """Build the network; untrained it says that nothing moves."""
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
