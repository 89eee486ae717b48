"""TWNet's consistency term."""

from __future__ import annotations

import pytest
import torch

from vss_ros.training.consistency_loss import consistency_loss


def test_ten_times_the_mean_squared_difference() -> None:
    true = torch.randn(2, 4, 3, 5)
    assert consistency_loss(true, true) == 0
    assert consistency_loss(true + 2, true).item() == pytest.approx(10 * 4, rel=1e-5)


def test_lateral_channels_do_not_count() -> None:
    corrected = torch.zeros(1, 4, 3, 5)
    true = torch.zeros(1, 4, 3, 5)
    true[:, 0], true[:, 3] = 1, 7
    assert consistency_loss(corrected, true, lateral_channels=1).item() == pytest.approx(10 / 3)


def test_the_whole_network_learns_nothing_from_it() -> None:
    corrected, true = (torch.randn(1, 4, 3, 5, requires_grad=True) for _ in range(2))
    consistency_loss(corrected, true).backward()
    assert corrected.grad is not None
    torch.testing.assert_close(corrected.grad, 10 * 2 / 60 * (corrected - true).detach())
    assert true.grad is None
