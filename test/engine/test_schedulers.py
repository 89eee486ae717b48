"""Thresholds and intervals."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest
import torch

from vss_ros.engine.frames import Reason
from vss_ros.engine.motion import MotionField
from vss_ros.engine.preprocess import IMAGENET, normalise
from vss_ros.engine.schedulers import SCHEDULERS
from vss_ros.engine.schedulers.fixed_interval import FixedInterval
from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation
from vss_ros.engine.view import View
from vss_ros.errors import VssError


def _view(low: torch.Tensor) -> View:
    """Return a random frame with the given F_l and no motion since the key frame."""
    pixels = np.random.default_rng(0).integers(0, 256, (1, 48, 64, 3), dtype=np.uint8)
    still = MotionField(torch.zeros(1, 2, 12, 16), 4)
    return View(pixels, normalise(torch.from_numpy(pixels), IMAGENET), low, still, still)


@pytest.mark.parametrize('name', [member.name for member in SCHEDULERS])
def test_intervals_bound_every_scheduler(name: str) -> None:
    scheduler = SCHEDULERS.get(name)(16, threshold=1e-9, min_interval=3, max_interval=6).eval()
    views = [_view(torch.randn(1, 16, 6, 8)) for _ in range(2)]
    key, current = (scheduler.prepare(view) for view in views)
    assert not scheduler.decide(2, key, current, views[1]).is_key_frame
    assert scheduler.decide(6, key, current, views[1]).is_key_frame
    assert scheduler.decide(6, key, current, views[1]).reason is Reason.INTERVAL


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
    same = _view(torch.randn(1, 16, 6, 8))
    with torch.no_grad():
        difference = scheduler._compare(scheduler.prepare(same), scheduler.prepare(same))
        bias = torch.sigmoid(scheduler.regress(scheduler.compare(torch.zeros(1, 32, 6, 8)).mean((2, 3))))
    assert torch.allclose(difference, bias.squeeze(1))
