"""GSVNet's light flow network: motion at stride 8 from images an eighth of the size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from vss_ros.engine.layers.blocks import resize_like
from vss_ros.engine.motion.base import MOTIONS, MotionEstimator
from vss_ros.engine.motion.field import MotionField
from vss_ros.engine.motion.flow_net_s import centred_cells, conv_leaky, flow_prediction

if TYPE_CHECKING:
    from vss_ros.engine.view import View

WIDTH = 64
DILATIONS = (1, 2, 4, 8)


@MOTIONS.register('light_flow', paper='Lee et al. 2021, GSVNet')
class LightFlow(MotionEstimator):
    """A few convolutions on both 1/8 images, around one hierarchical feature fusion (section 3.3).

    The paper only says that the network is "based on the hierarchical feature fusion block" of ESPNet:
    parallel 3x3 convolutions of dilation 1, 2, 4 and 8, each result added to the next before all are
    concatenated. Its layers are in a supplement; the widths here, 32 and 64, are those of the authors'
    published code and fit the paper's 1.6 MB for all non-key layers (Table 2). Theirs strides twice, to
    32 x 64 cells of a Cityscapes image; at 360 x 480 that would leave 12 x 15, so this one strides once,
    and the flow is brought from 1/16 to 1/8 bilinearly.
    """

    stride = 8

    def __init__(self) -> None:
        """Build the network; untrained it says that nothing moves."""
        super().__init__()
        self.entry = nn.Sequential(conv_leaky(6, WIDTH // 2), conv_leaky(WIDTH // 2, WIDTH, stride=2))
        self.branches = nn.ModuleList(conv_leaky(WIDTH, WIDTH, dilation=d) for d in DILATIONS)
        self.merge = conv_leaky(len(DILATIONS) * WIDTH, WIDTH, 1)
        self.predict = flow_prediction(WIDTH)

    def prepare(self, view: View) -> Tensor:
        """Return the 1/8 image, ``(N, 3, H/8, W/8)`` float32."""
        return centred_cells(view, self.stride)

    def estimate(self, previous: Tensor, current: Tensor, view: View) -> MotionField:  # noqa: ARG002
        """Return the field ``(N, 2, H/8, W/8)``."""
        entered = self.entry(torch.cat((current, previous), 1))
        levels = [self.branches[0](entered)]
        for branch in list(self.branches)[1:]:
            levels.append(branch(entered) + levels[-1])
        flow = self.predict(self.merge(torch.cat(levels, 1)) + entered)
        return MotionField(resize_like(flow, current), self.stride)
