"""GSVNet's guided filter: shifts, weights, edge map, and the resolutions it takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from engine_parts import backbone, frame, propagation, segmenter, view_of
from torch import nn

from vss_ros.engine.labels import argmax_upsampled
from vss_ros.engine.motion import MotionField
from vss_ros.engine.propagation.base import Shapes
from vss_ros.engine.propagation.guided_filter import GuidedFilter, blend, edge_map
from vss_ros.engine.view import View

pytestmark = pytest.mark.usefixtures('one_thread')
CLASSES = 5
IMAGE = (48, 64)
ALWAYS = 1e4


def filter_of(stride: int = 4, *, trained: bool = False) -> GuidedFilter:
    """Return a filter for logits of a stride; as if trained, its weights differ from cell to cell."""
    torch.manual_seed(0)
    moves = GuidedFilter(Shapes(8, 8, CLASSES, stride)).eval()
    if trained:
        nn.init.normal_(moves.guide.weigh.weight, 0, 0.3)
    return moves


def force(moves: GuidedFilter, weight: int) -> None:
    """Make the guiding network give all the weight to one of the ten."""
    assert moves.guide.weigh.bias is not None
    with torch.no_grad():
        moves.guide.weigh.weight.zero_()
        moves.guide.weigh.bias.zero_()
        moves.guide.weigh.bias[weight] = ALWAYS


def moving_view(flow: torch.Tensor) -> View:
    return View(np.zeros((1, *IMAGE, 3), np.uint8), torch.randn(1, 3, *IMAGE), motion=MotionField(flow, 4))


def propagate(moves: GuidedFilter, logits: torch.Tensor, view: View) -> torch.Tensor:
    with torch.inference_mode():
        return moves.propagate(moves.prepare(view), logits, moves.prepare(view), view)


def test_all_weight_on_the_zero_shift_is_plain_warping() -> None:
    moves = filter_of()
    force(moves, 4)
    view = moving_view(torch.randn(1, 2, 12, 16))
    logits = torch.randn(1, CLASSES, 12, 16)
    assert torch.equal(propagate(moves, logits, view), view.motion.warp(logits))


def test_untrained_the_filter_is_almost_plain_warping() -> None:
    view = moving_view(torch.zeros(1, 2, 12, 16))
    logits = torch.randn(1, CLASSES, 12, 16)
    difference = (propagate(filter_of(), logits, view) - view.motion.warp(logits)).abs().mean()
    assert 0 < difference < 0.05


@pytest.mark.parametrize(('weight', 'dy', 'dx'), [(0, -1, -1), (1, -1, 0), (5, 0, 1), (6, 1, -1), (8, 1, 1)])
def test_all_weight_on_one_shift_moves_by_exactly_one_cell(weight: int, dy: int, dx: int) -> None:
    moves = filter_of()
    force(moves, weight)
    logits = torch.randn(1, CLASSES, 12, 16)
    still = torch.zeros(1, 2, 12, 16)
    moved = propagate(moves, logits, moving_view(still))
    wanted = MotionField(still, 4).warp(logits)[..., 1 + dy : 11 + dy, 1 + dx : 15 + dx]
    assert torch.equal(moved[..., 1:11, 1:15], wanted)


def test_all_weight_on_the_last_is_the_current_image_alone() -> None:
    moves = filter_of()
    force(moves, 9)
    view = moving_view(torch.zeros(1, 2, 12, 16))
    one, other = (propagate(moves, torch.randn(1, CLASSES, 12, 16), view) for _ in range(2))
    assert torch.equal(one, other)
    assert one.std() > 0


def test_weights_sum_to_one_and_a_constant_stays() -> None:
    moves = filter_of(trained=True)
    weights = moves.guide(torch.randn(2, CLASSES + 1, 11, 13))
    assert weights.shape == (2, 10, 11, 13)
    assert weights.std() > 0.01
    torch.testing.assert_close(weights.sum(1), torch.ones(2, 11, 13))
    constant = torch.full((2, CLASSES, 11, 13), 3.0)
    torch.testing.assert_close(blend(constant, constant, weights), constant)


def test_every_class_is_blended_by_the_same_weights() -> None:
    warped, crude = torch.randn(1, 1, 6, 7), torch.randn(1, 1, 6, 7)
    weights = torch.randn(1, 10, 6, 7).softmax(1)
    together = blend(warped.repeat(1, 3, 1, 1), crude.repeat(1, 3, 1, 1), weights)
    for channel in together[0]:
        torch.testing.assert_close(channel, blend(warped, crude, weights)[0, 0])


def test_edge_map_of_one_cell() -> None:
    logits = torch.zeros(1, 3, 4, 5)
    logits[:, 0] = 1
    logits[0, 2, 1, 1] = 9  # class 2 in a plane of class 0
    edges = edge_map(logits)[0, 0]
    laplacian = torch.zeros(4, 5)
    laplacian[:3, :3] = 2
    laplacian[1, 1] = -16
    torch.testing.assert_close(edges, laplacian.sigmoid())
    assert edges[3, 4] == 0.5  # the picture's border is no edge


@pytest.mark.parametrize(('stride', 'finer'), [(4, 1), (4, 2), (1, 1), (8, 1), (8, 8)])
def test_a_key_frames_logits_may_be_finer(stride: int, finer: int) -> None:
    moves = filter_of(stride)
    force(moves, 4)
    cells = tuple(side // stride * finer for side in IMAGE)
    logits = torch.arange(CLASSES).float().view(1, CLASSES, 1, 1).expand(1, CLASSES, *cells)
    moved = propagate(moves, logits, moving_view(torch.zeros(1, 2, 12, 16)))
    working = max(stride, 4)
    assert moves.stride == working
    assert moved.shape == (1, CLASSES, IMAGE[0] // working, IMAGE[1] // working)
    torch.testing.assert_close(moved, logits[..., : moved.shape[-2], : moved.shape[-1]].contiguous())


def test_in_a_stream() -> None:
    net = backbone()
    moves = propagation(net, 'guided_filter')
    stream = segmenter(net, moved=moves)
    results = [stream.step(frame(i)) for i in range(4)]
    assert [r.decision.is_key_frame for r in results] == [True, False, False, False]
    with torch.inference_mode():
        view = view_of(net, frame(1), before=frame(0))
        moved = moves(view, net(view_of(net, frame(0)).image), view)
    # The stream averages pixels to whole grey levels, this view does not.
    assert np.mean(results[1].labels == argmax_upsampled(moved, IMAGE)) > 0.98


def test_everything_is_trained() -> None:
    moves = filter_of(trained=True).train()
    logits = torch.randn(1, CLASSES, 12, 16, requires_grad=True)
    view = moving_view(torch.randn(1, 2, 12, 16))
    moves.propagate(moves.prepare(view), logits, moves.prepare(view), view).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in moves.parameters())
    assert logits.grad is not None
