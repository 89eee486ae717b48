"""Table I by hand, and Table II's networks counted by it."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import grid_sample
from torch.utils.flop_counter import FlopCounterMode

from experiments.flops import (
    TABLE_FORMULAS,
    batch_normalisation,
    bilinear_upsampling,
    bilinear_warp,
    convolution,
    deconvolution,
    depthwise_convolution,
    relu,
)


def test_rows_by_hand() -> None:
    # Two operations for each of 30 cells, 4 output channels, 27 taps and a bias.
    assert convolution(3, 4, (3, 3), (5, 6)) == 6720
    # 9 taps and a bias, 3 channels.
    assert depthwise_convolution(3, (3, 3), (5, 6)) == 1800
    # 32 taps and a bias, 4 channels.
    assert deconvolution(2, 4, (4, 4), (5, 6)) == 7920
    assert bilinear_upsampling(2, (5, 6)) == 11 * 60
    assert bilinear_warp(2, (5, 6)) == 11 * 60
    assert batch_normalisation(2, (5, 6)) == 120
    assert relu(2, (5, 6)) == 60


@pytest.mark.parametrize(
    ('height', 'width', 'classes', 'stated'),
    [(1024, 2048, 19, 123.775), (720, 960, 11, 41.741), (2160, 3840, 8, 484.319)],
)
def test_table_ii_of_cfnet(height: int, width: int, classes: int, stated: float) -> None:
    """CFNet as published by the authors: deconvolutions are unpadded, their outputs cropped afterwards."""
    flops = 0
    size = (height, width)
    sizes = []
    before = 3
    for channels, stride in zip(
        (32, 64, 128, 128, 256, 256, 256, 256, 512, 512), (2, 2, 2, 1, 2, 1, 2, 1, 2, 1), strict=True
    ):
        if stride == 2:
            size = (-(-size[0] // 2), -(-size[1] // 2))
            sizes.append(size)
        flops += convolution(before, channels, (3, 3), size)
        flops += batch_normalisation(channels, size) + relu(channels, size)
        before = channels
    for before, channels, (h, w) in zip((512, 512, 384, 192), (256, 128, 64, 32), sizes[:1:-1], strict=True):
        uncropped = (2 * h + 2, 2 * w + 2)
        flops += deconvolution(before, channels, (4, 4), uncropped) + relu(channels, uncropped)
    flops += convolution(96, classes, (1, 1), sizes[1])
    assert flops / 1e9 == pytest.approx(stated, rel=4e-4)


@pytest.mark.parametrize('inference', [True, False])
def test_counter_uses_the_rows(inference: bool) -> None:
    net = nn.Sequential(
        nn.Conv2d(4, 6, 3, 2, 1, groups=2),
        nn.BatchNorm2d(6),
        nn.ReLU6(inplace=True),
        nn.ConvTranspose2d(6, 4, 4, 2, 1),
        nn.LeakyReLU(0.1),
        nn.UpsamplingBilinear2d(scale_factor=2),
    ).eval()
    with (
        torch.inference_mode(inference),
        torch.set_grad_enabled(False),
        FlopCounterMode(display=False, custom_mapping=TABLE_FORMULAS) as counter,
    ):
        grid_sample(net(torch.zeros(2, 4, 8, 12)), torch.zeros(2, 3, 5, 2), align_corners=True)
    one = convolution(2, 6, (3, 3), (4, 6)) + batch_normalisation(6, (4, 6)) + relu(6, (4, 6))
    one += deconvolution(6, 4, (4, 4), (8, 12)) + relu(4, (8, 12))
    one += bilinear_upsampling(4, (16, 24)) + bilinear_warp(4, (3, 5))
    assert counter.get_total_flops() == 2 * one
