"""A drive's motion: still cameras see the same, moving ones an expanding world; every way leads back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from vss_ros.datasets.ego_motion import Drive, EgoMotion, random_drive

SIZE = (90, 120)
STILL = Drive(0.0, 0.0, 0.0, 0.0, (8.0, 8.0), 0.45, 0.5)
AHEAD = replace(STILL, speed=8.0)


def test_a_standing_camera_sees_the_same_whatever_its_lens() -> None:
    ego = EgoMotion(replace(STILL, lens=0.1), SIZE)
    assert np.allclose(ego.to_current(0.5), ego.grid, atol=1e-3)
    assert np.allclose(ego.to_earlier(0.5), ego.grid, atol=1e-3)


def test_driving_on_the_world_expands_from_the_vanishing_point_but_the_sky_stays() -> None:
    ego = EgoMotion(AHEAD, SIZE)
    assert np.allclose(ego.to_current(0.2, sky=True), ego.grid, atol=1e-3)
    x, y = ego.to_current(0.2) - ego.grid
    assert (y[80] > 0).all()
    assert (np.sign(x[70, [10, 110]]) == [-1, 1]).all()
    assert y[80, 60] > y[60, 60]  # what is nearer moves faster


@pytest.mark.parametrize(
    'motion',
    [{'speed': 8.0}, {'yaw_rate': 0.3}, {'pitch': 0.05}, {'roll': 0.05}, {'lens': 0.1, 'speed': 8.0}],
)
def test_each_part_of_the_motion_moves_the_view(motion: dict[str, Any]) -> None:
    ego = EgoMotion(replace(STILL, **motion), SIZE)
    assert np.abs(ego.to_earlier(0.3) - ego.grid).max() > 1


def test_a_lens_bends_the_ways() -> None:
    def off_the_line(lens: float) -> float:
        """How far the ways miss the vanishing point, in pixels."""
        ego = EgoMotion(replace(AHEAD, lens=lens), SIZE)
        way = ego.to_earlier(0.3) - ego.grid
        out = ego.grid - np.array([0.5 * 120 - 0.5, 0.45 * 90 - 0.5])[:, None, None]
        return float(np.abs((way[0] * out[1] - way[1] * out[0]) / np.hypot(*out).clip(1)).max())

    assert off_the_line(0.0) < 1e-2
    assert off_the_line(0.3) > 0.1


@pytest.mark.parametrize('seed', range(8))
def test_the_way_to_an_earlier_view_leads_back(seed: int) -> None:
    ego = EgoMotion(random_drive(np.random.default_rng(seed), lens=0.05), SIZE)
    for sky in (False, True):
        x, y = ego.to_earlier(0.4, sky=sky)
        inside = (x >= 0) & (x <= 119) & (y >= 0) & (y <= 89)
        # Bilinear between the pixels, so not below the curvature within one of them.
        back = [cv2.remap(plane, x, y, cv2.INTER_LINEAR) for plane in ego.to_current(0.4, sky=sky)]
        assert inside.sum() > 100
        assert np.median(np.abs(back - ego.grid)[:, inside]) < 0.05
        assert np.quantile(np.abs(back - ego.grid)[:, inside], 0.97) < 0.2


def test_random_drives_stand_and_go_turn_and_bend() -> None:
    rng = np.random.default_rng(0)
    drives = [random_drive(rng, lens=0.04) for _ in range(200)]
    speeds = np.array([drive.speed for drive in drives])
    assert 5 < (speeds == 0).sum() < 60
    assert speeds.max() > 9
    assert np.abs([drive.yaw_rate for drive in drives]).max() > 0.2
    assert min(drive.lens for drive in drives) < 0 < max(drive.lens for drive in drives)
    assert random_drive(rng).lens == 0
