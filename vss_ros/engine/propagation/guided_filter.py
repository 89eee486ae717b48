"""GSVNet: warp the logits, then repair them by a filter the current image guides."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from vss_ros.engine.layers.blocks import conv_bn_relu, resize_like, zeroed
from vss_ros.engine.layers.spatially_variant import spatially_variant_convolution
from vss_ros.engine.propagation.base import PROPAGATIONS, Switch
from vss_ros.engine.propagation.flow_warp import FlowWarp

if TYPE_CHECKING:
    from vss_ros.engine.propagation.base import Shapes
    from vss_ros.engine.view import View

SIDE = 3
"""Side of the window that the D = 9 ideal-delay kernels shift over; the middle one shifts by nothing."""
INTRA_WIDTH = 16
GUIDE_WIDTH = 16
SURE = 6.0
"""Untrained preference for the zero shift: 0.976 of the weight."""
ZERO_SHIFT = tuple(float(i == SIDE * SIDE // 2) for i in range(SIDE * SIDE + 1))
"""Weights of the filter that leaves the warped logits as they are."""


class GuidingNetwork(nn.Module):
    """G of section 3.4.3: from a crude segmentation and the edge map to D + 1 weights per cell.

    The paper doesn't describe it; the authors' published code has an encoder-decoder of two strides around
    a skip connection, which is built here at half its width.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        width = GUIDE_WIDTH
        self.entry = conv_bn_relu(in_channels, width)
        self.down = nn.Sequential(
            conv_bn_relu(width, 2 * width, 3, 2), conv_bn_relu(2 * width, 4 * width, 3, 2)
        )
        self.middle = conv_bn_relu(4 * width, 2 * width)
        self.up = conv_bn_relu(2 * width, width)
        self.weigh = zeroed(nn.Conv2d(width, out_channels, 3, 1, 1))
        self.weigh.bias.data[SIDE * SIDE // 2] = SURE  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        """Return weights that sum to one, ``(N, in, H, W) -> (N, out, H, W)``."""
        entered = self.entry(x)
        half = self.down[0](entered)
        middle = resize_like(self.middle(self.down[1](half)), half)
        return self.weigh(entered + resize_like(self.up(middle), entered)).softmax(1)  # type: ignore[no-any-return]


@PROPAGATIONS.register('guided_filter', paper='Lee et al. 2021, GSVNet')
class GuidedFilter(FlowWarp):
    """Guided spatially-varying convolution of the warped logits (sections 3.3 and 3.4).

    Warp the source's logits (Eq. 1), let a small network segment the current image
    crudely, and blend the nine shifts of the one with the other by ten weights per cell, the same for all
    classes (Eq. 2). It needs no features, so it serves any network.

    Decided, against the paper in the first point and where it is silent or says two things in the others:

    - The source is the key frame, reached in one hop along the composed motion, where the paper takes the
      previous frame's filtered logits. A filter over a filter's output blurs more with every frame, and has
      seen no such input in training: frame by frame the same weights score 45.4 mIoU at distance 9, in one
      hop 63.2 (default backbone, CamVid val).
    - At stride 4, as ``FlowWarp``, where the logits are that fine. The paper works at 8, where the networks
      it serves have theirs. At 360 x 480 an eighth leaves 45 x 60 cells, poles and signs are thinner than
      one, and what the key frame's logits said of them would be averaged away on the first propagated
      frame.
    - Logits are blended, not probabilities: Fig. 2 and section 3.4.3 combine "semantic predictions" of
      networks that end in a convolution, and cross entropy is taken of the result.
    - phi sees the image, as Fig. 2 and the text of section 3.4.2 have it, not the warped logits of its
      formula. It is 16 channels wide, as in the authors' published code.
    - D = 9: the 3 x 3 neighbourhood, without which nothing could stay where it is. Beyond the border the
      outermost cell repeats, so that weights of sum one keep a constant.
    - "Unity gain" by softmax.
    - The Laplacian counts all eight neighbours. Its response to class ids is large, so that its sigmoid
      is 0 or 1 on an edge and a half elsewhere.
    """

    frame_by_frame = False
    switches: ClassVar = {'guided filter: zero shift': Switch('guide', ZERO_SHIFT)}

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        classes = shapes.high_channels
        self.image_strides = (self.stride,)
        self.intra = nn.Sequential(
            conv_bn_relu(3, INTRA_WIDTH),
            conv_bn_relu(INTRA_WIDTH, INTRA_WIDTH),
            nn.Conv2d(INTRA_WIDTH, classes, 3, 1, 1),
        )
        self.guide = GuidingNetwork(classes + 1, SIDE * SIDE + 1)

    def propagate(self, source: Tensor, source_high: Tensor, current: Tensor, view: View) -> Tensor:
        """Return logits ``(N, C, H/stride, W/stride)``; the source's may be of that stride or finer."""
        warped = super().propagate(source, source_high, current, view)
        crude = self.intra(view.small(self.stride))
        return blend(warped, crude, self.guide(torch.cat((crude, edge_map(warped)), 1)))


def edge_map(logits: Tensor) -> Tensor:
    """Return ``sigmoid(Laplacian(argmax))`` of logits ``(N, C, H, W)``, ``(N, 1, H, W)`` (section 3.4.3)."""
    # Side by side in memory, classes are compared in a third of the time.
    compact = logits.contiguous(memory_format=torch.channels_last)
    labels = compact.argmax(1, keepdim=True).to(logits.dtype)
    laplacian = labels.new_ones(1, 1, 3, 3)
    laplacian[..., 1, 1] = -8
    response: Tensor = conv2d(pad(labels, (1, 1, 1, 1), mode='replicate'), laplacian)
    return response.sigmoid()


def blend(warped: Tensor, crude: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sum of all shifts and the crude segmentation, per class (Eq. 2).

    Args:
        warped: Logits ``(N, C, H, W)``.
        crude: Logits of the current image alone, ``(N, C, H, W)``.
        weights: ``(N, 10, H, W)``: weight ``3 * dy + dx`` is of the neighbour at row ``i + dy - 1`` and
            column ``j + dx - 1``, the last of the crude segmentation.
    """
    shifts, last = weights.split((SIDE * SIDE, 1), 1)
    return spatially_variant_convolution(warped, shifts) + last * crude  # type: ignore[no-any-return]
