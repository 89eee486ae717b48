"""This project's own propagation: how much of its context is believed."""

from __future__ import annotations

import pytest
import torch
from engine_parts import backbone, frame, view_of
from torch import nn

from vss_ros.engine.propagation.base import Shapes, Space
from vss_ros.engine.propagation.refined_warping import BELIEVED, RefinedWarping

pytestmark = pytest.mark.usefixtures('one_thread')


def test_all_of_its_context_is_learned_with_and_half_is_believed_afterwards() -> None:
    torch.manual_seed(0)
    net = backbone()
    moves = RefinedWarping(Shapes.of(net, Space.FEATURES)).eval()
    nn.init.normal_(moves.refine.weight, 0, 0.1)  # as if trained: it is zero at first

    def moved(share: float) -> torch.Tensor:
        """Return what is made of the next frame when the context is as strong as that."""
        hook = moves.context.register_forward_hook(lambda _, __, context: context * share)
        with torch.inference_mode():
            key, view = view_of(net, frame(0)), view_of(net, frame(1), before=frame(0))
            found: torch.Tensor = moves(key, net.high(key.low), view)
        hook.remove()
        return found

    usual, whole, none = moved(1), moved(1 / BELIEVED), moved(0)
    assert not torch.allclose(usual, none)
    moves.training = True  # it alone: its batch normalisation shall compute what it computed before
    torch.testing.assert_close(moved(1), whole)
    torch.testing.assert_close(moved(BELIEVED), usual)
