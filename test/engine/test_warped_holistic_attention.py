"""Holistic attention on warped features is the paper's of features that are where they are now."""

from __future__ import annotations

import torch
from engine_parts import backbone, frame, propagation, view_of

from vss_ros.engine.motion.field import MotionField
from vss_ros.engine.propagation.temporal_holistic_attention import TemporalHolisticAttention


def test_equations_3_and_4_of_features_that_moved_a_cell() -> None:
    net = backbone()
    moves, paper = (propagation(net, f'{name}_holistic_attention') for name in ('warped', 'temporal'))
    with torch.inference_mode():
        for parameter in moves.parameters():
            parameter.normal_(0, 0.1)
        paper.load_state_dict(moves.state_dict())
        key, view = view_of(net, frame(0)), view_of(net, frame(1))
        high = net.high(key.low)
        flow = torch.zeros(1, 2, *high.shape[-2:])
        flow[:, 0] = 1.0  # what is at column j was at column j + 1
        answer = moves(key, high, view.replace(motion=MotionField(flow, 8)))
        expected, unmoved = paper(key, high.roll(-1, -1), view), paper(key, high, view)
    assert isinstance(moves, TemporalHolisticAttention)
    assert torch.allclose(answer[..., :-1], expected[..., :-1], atol=1e-5)
    assert not torch.allclose(answer[..., :-1], unmoved[..., :-1], atol=1e-2)
