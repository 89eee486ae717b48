"""The scheduler that asks whether motion explains the image."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vss_ros.engine.motion import MOTIONS
from vss_ros.engine.motion.base import MotionTrail
from vss_ros.engine.motion.field import MotionField
from vss_ros.engine.schedulers.flow_residual import STRIDE, FlowResidual
from vss_ros.engine.view import View
from vss_ros.recordings.open import open_source
from vss_ros.resources import resource

HEIGHT, WIDTH = 96, 128
SHIFT = 8
"""Pixels to the right from key frame to current frame: two cells."""

Image = NDArray[np.uint8]


@cache
def scene(seed: int = 0) -> Image:
    """Return a smooth random image, wider than a frame by the shift."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 17, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (WIDTH + SHIFT, HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8)


def view(image: Image, field: MotionField | None = None) -> View:
    return View(np.ascontiguousarray(image)[None], torch.empty(1, 3, 1, 1), since_key=field)


def motion(x: float, holes: torch.Tensor | None = None) -> MotionField:
    """Return a field whose content was ``x`` pixels further right."""
    flow = torch.zeros(1, 2, HEIGHT // STRIDE, WIDTH // STRIDE)
    flow[:, 0] = x / STRIDE
    return MotionField(flow, STRIDE, holes)


def score(key: Image, current: Image, field: MotionField) -> float:
    scheduler = FlowResidual(3)
    now = view(current, field)
    return scheduler.score(scheduler.prepare(view(key)), scheduler.prepare(now), now)


KEY, MOVED = scene()[:, SHIFT:], scene()[:, :-SHIFT]
BORDER = SHIFT / WIDTH
"""Share of the image that came in at the left and was nowhere in the key frame."""


def test_an_equal_image_scores_nothing() -> None:
    assert score(KEY, KEY, motion(0)) == 0


def test_a_translation_is_explained_by_its_motion_alone() -> None:
    # MOVED at column c shows what KEY shows at c - SHIFT.
    assert score(KEY, MOVED, motion(-SHIFT)) == pytest.approx(BORDER)
    assert score(KEY, MOVED, motion(0)) > 0.5
    assert score(KEY, MOVED, motion(SHIFT)) > 0.5


def test_a_new_object_raises_the_score_by_its_area() -> None:
    current = KEY.copy()
    grey = int(KEY[32:64, 48:96].mean())
    current[32:64, 48:96] = (grey + 128) % 256
    area = 32 * 48 / (HEIGHT * WIDTH)
    assert 0.7 * area < score(KEY, current, motion(0)) <= area


def test_exposure_alone_counts_nothing() -> None:
    dim = (KEY // 2 + 20).astype(np.uint8)
    assert score(dim, dim + 60, motion(0)) == 0


def test_cells_without_known_motion_count() -> None:
    holes = torch.zeros(1, 1, HEIGHT // STRIDE, WIDTH // STRIDE, dtype=torch.bool)
    holes[..., :6, :] = True
    assert score(KEY, KEY, motion(0, holes)) == pytest.approx(6 / (HEIGHT // STRIDE))


def test_fields_of_any_stride_fit() -> None:
    coarse = motion(-SHIFT).at(8)
    assert score(KEY, MOVED, coarse) == pytest.approx(BORDER)


def test_views_may_be_batches() -> None:
    scheduler = FlowResidual(3)
    both = view(KEY).replace(pixels=np.stack([KEY, MOVED]))
    assert scheduler.prepare(both).shape == (2, 1, HEIGHT // STRIDE, WIDTH // STRIDE)


def test_the_clip_gets_a_key_frame_about_every_five_frames() -> None:
    scheduler, trail = FlowResidual(3), MotionTrail(MOTIONS.get('dis')())
    keys: list[int] = []
    cached = None
    with open_source(resource('test', 'data', 'street')) as source:
        for frame, _ in source:
            now = trail.follow(view(frame.image))
            prepared = scheduler.prepare(now)
            if not keys or scheduler.decide(frame.index - keys[-1], cached, prepared, now).is_key_frame:
                keys.append(frame.index)
                cached = prepared
                trail.mark_key_frame()
    assert 4.5 < frame.index / (len(keys) - 1) < 6
    # The scene decides, not a clock.
    assert len({later - earlier for earlier, later in pairwise(keys)}) > 3
