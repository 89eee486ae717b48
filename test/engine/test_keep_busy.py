"""The scheduler that lets the slow track rest on a standing scene only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from vss_ros.engine.motion import MOTIONS
from vss_ros.engine.motion.base import MotionTrail
from vss_ros.engine.schedulers import SCHEDULERS
from vss_ros.engine.view import View
from vss_ros.recordings.open import open_source

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

NOISE = 2.0
"""Grey levels of a camera's noise."""


def judged(images: list[NDArray[np.uint8]]) -> list[float]:
    """Return the scores of all images after the first, the key frame."""
    scheduler = SCHEDULERS.get('keep_busy')(8)
    trail = MotionTrail(MOTIONS.get('dis_half')())
    views = []
    for image in images:
        views.append(trail.follow(View(np.ascontiguousarray(image)[None], torch.empty(1, 3, 1, 1))))
        if len(views) == 1:
            trail.mark_key_frame()
    key = scheduler.prepare(views[0])
    return [scheduler.score(key, scheduler.prepare(view), view) for view in views[1:]]


@pytest.fixture(scope='module')
def street(project_root: Path) -> list[NDArray[np.uint8]]:
    """Ten images of the embedded drive, at a size that cells divide."""
    with open_source(project_root / 'test/data/street') as source:
        return [frame.image[:352] for frame, _ in source][60:70]


def test_a_standing_scene_with_the_cameras_noise_is_none(street: list[NDArray[np.uint8]]) -> None:
    rng = np.random.default_rng(0)
    standing = [
        (street[0] + rng.normal(0, NOISE, street[0].shape)).clip(0, 255).astype(np.uint8) for _ in range(10)
    ]
    assert max(judged(standing)) < SCHEDULERS.get('keep_busy').default_threshold


def test_a_drive_is_a_key_frame_as_often_as_the_track_is_free(street: list[NDArray[np.uint8]]) -> None:
    assert min(judged(street)) > SCHEDULERS.get('keep_busy').default_threshold
