"""Thresholds and intervals."""

from __future__ import annotations

from math import nan

import pytest
import torch

from vss_ros.engine.frames import Reason
from vss_ros.engine.schedulers import SCHEDULERS
from vss_ros.engine.schedulers.fixed_interval import FixedInterval
from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation
from vss_ros.errors import VssError


@pytest.mark.parametrize('name', [member.name for member in SCHEDULERS])
def test_intervals_bound_every_scheduler(name: str) -> None:
    scheduler = SCHEDULERS.get(name)(16, threshold=1e-9, min_interval=3, max_interval=6).eval()
    features = [scheduler.prepare(torch.randn(1, 16, 6, 8)) for _ in range(2)]
    assert not scheduler.decide(2, *features).is_key_frame
    assert scheduler.decide(6, *features).is_key_frame
    assert scheduler.decide(6, *features).reason is Reason.INTERVAL


def test_impossible_intervals_are_refused_and_change_nothing() -> None:
    scheduler = FixedInterval(16, min_interval=2, max_interval=6)
    with pytest.raises(VssError, match='min_interval'):
        scheduler.adjust(min_interval=7)
    assert (scheduler.min_interval, scheduler.max_interval) == (2, 6)
    scheduler.adjust(interval=0)
    assert scheduler.max_interval == scheduler.default_max_interval


def test_threshold_zero_and_nan_mean_the_schedulers_own() -> None:
    scheduler = PredictedDeviation(16, threshold=0.4)
    assert scheduler.threshold == 0.4
    for value in (0.0, nan):
        scheduler.adjust(threshold=value)
        assert scheduler.threshold == scheduler.default_threshold


def test_equal_features_give_the_lowest_prediction() -> None:
    scheduler = PredictedDeviation(16).eval()
    same = torch.randn(1, 16, 6, 8)
    with torch.no_grad():
        difference = scheduler._compare(scheduler.prepare(same), scheduler.prepare(same))
        bias = torch.sigmoid(scheduler.regress(scheduler.compare(torch.zeros(1, 32, 6, 8)).mean((2, 3))))
    assert torch.allclose(difference, bias.squeeze(1))
