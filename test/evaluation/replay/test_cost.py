"""Operations counted by hand."""

from __future__ import annotations

import torch
from engine_parts import backbone, propagation
from torch.nn.functional import grid_sample
from torch.utils.flop_counter import FlopCounterMode

from vss_ros.engine.motion import MOTIONS
from vss_ros.engine.pipeline import Parts
from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation
from vss_ros.engine.tracks import Blocking
from vss_ros.evaluation.replay.operations import LEFT_OUT, frame_costs, part_costs


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
