"""Operations counted by hand."""

from __future__ import annotations

import torch
from engine_parts import backbone, propagation
from torch import nn
from torch.nn.functional import grid_sample
from torch.utils.flop_counter import FlopCounterMode

from vss_ros.engine.motion import MOTIONS
from vss_ros.engine.pipeline import Parts
from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation
from vss_ros.engine.tracks import Blocking
from vss_ros.evaluation.cost import frame_costs, part_costs
from vss_ros.evaluation.flop_formulas import LEFT_OUT, TABLE_FORMULAS


def test_table_formulas_reach_every_layer_of_a_network() -> None:
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU6(inplace=True),
        nn.Conv2d(8, 8, 3, 1, 1, groups=8),
        nn.Upsample(scale_factor=2, mode='bilinear'),
        nn.ConvTranspose2d(8, 4, 4, 2, 1),
        nn.LeakyReLU(),
    ).eval()
    with torch.inference_mode(), FlopCounterMode(display=False, custom_mapping=TABLE_FORMULAS) as counter:
        layers(torch.randn(2, 3, 32, 32))
    convolutions = 2 * 256 * (3 * 9 + 1) * 8 + 2 * 256 * (9 + 1) * 8 + 2 * 64 * 64 * (8 * 16 + 1) * 4
    others = 2 * 256 * 8 + 256 * 8 + 11 * 32 * 32 * 8 + 64 * 64 * 4
    assert counter.get_total_flops() == 2 * (convolutions + others)


def test_warps_and_shifted_sums_are_not_free() -> None:
    features, grid = torch.randn(1, 5, 6, 8), torch.zeros(1, 6, 8, 2)
    with torch.inference_mode(), FlopCounterMode(display=False, custom_mapping=LEFT_OUT) as counter:
        grid_sample(features, grid, align_corners=True)
        features.addcmul_(features, features)
    assert counter.get_total_flops() == (11 + 2) * 5 * 6 * 8


def test_parts_add_up_to_frames() -> None:
    for name, between in (
        ('spatially_variant_conv', {'low', 'propagation', 'scheduler', 'head'}),
        ('flow_warp', {'low', 'motion', 'propagation', 'scheduler'}),  # the scheduler looks at F_l
    ):
        net = backbone()
        scheduler = PredictedDeviation(net.low_channels).eval()
        parameters = sum(p.numel() for p in net.parameters())
        motion = MOTIONS.get('dis')() if name == 'flow_warp' else None
        parts = Parts(net, propagation(net, name), scheduler, Blocking(), motion)
        costs = {cost.part: cost for cost in part_costs(parts, (48, 64), torch.device('cpu'))}
        frames = frame_costs(list(costs.values()), parts)
        assert frames['whole network'].parameters == parameters
        assert frames['between key frames'].flops == sum(costs[part].flops for part in between)
