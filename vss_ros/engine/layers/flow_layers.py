"""What the learned flow networks are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from vss_ros.engine.view import View

SLOPE = 0.1
"""Of the leaky ReLU below zero (Dosovitskiy et al. 2015)."""


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
    convolution = nn.Conv2d(in_channels, 2, 3, 1, 1)
    nn.init.zeros_(convolution.weight)
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    return convolution


def centred_cells(view: View, stride: int) -> Tensor:
    """Return a view's pixels averaged over cells, ``(N, 3, H/stride, W/stride)`` in -0.5..0.5.

    A tensor of its own, on the view's device. From the pixels rather than the normalised image: the
    statistics are the segmentation network's, and flow weights shall fit all networks.
    """
    pixels = view.pixels
    if stride > 1:
        cells = (pixels.shape[2] // stride, pixels.shape[1] // stride)
        pixels = np.stack([cv2.resize(image, cells, interpolation=cv2.INTER_AREA) for image in pixels])
    floats = torch.from_numpy(pixels).to(view.image.device, torch.float32, copy=True)
    return floats.div_(255.0).sub_(0.5).movedim(-1, 1)
