"""Temporal consistency on pictures whose motion is known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.temporal import UNKNOWN, TemporalConsistency, warp_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHIFT = 4
HEIGHT, WIDTH = 144, 192


def moving_scene(frames: int) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Pan over a textured wall of upright stripes of four classes, ``SHIFT`` pixels a frame."""
    rng = np.random.default_rng(0)
    wide = WIDTH + frames * SHIFT
    texture = cv2.GaussianBlur(rng.integers(0, 256, (HEIGHT, wide, 3)).astype(np.float32), (0, 0), 2)
    texture = (texture - texture.min()) * (255 / np.ptp(texture))
    labels = np.tile(np.arange(wide) // 16 % 4, (HEIGHT, 1))
    windows = [slice(i * SHIFT, i * SHIFT + WIDTH) for i in range(frames)]
    return [
        (np.ascontiguousarray(texture[:, window]).astype(np.uint8), labels[:, window].astype(np.uint8))
        for window in windows
    ]


def consistency(frames: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> TemporalConsistency:
    score = TemporalConsistency(4, UNKNOWN)
    for image, mask in frames:
        score.add(image, mask)
    return score


def test_masks_that_move_with_the_picture_are_consistent_and_those_that_stay_are_not() -> None:
    scene = moving_scene(4)
    moving = consistency(scene)
    assert moving.miou > 0.98
    assert moving.confusion.pixel_accuracy > 0.98
    # Nearly all pixels of three pairs are known; the strip that comes in is not.
    share = moving.confusion.counts.sum() / (3 * HEIGHT * WIDTH)
    assert 0.85 < share <= 1 - SHIFT / WIDTH + 0.01
    # Stripes of 16 pixels that stand while the picture moves by 4: a quarter of the pixels disagrees.
    standing = consistency([(image, scene[0][1]) for image, _ in scene])
    assert standing.confusion.pixel_accuracy == pytest.approx(0.75, abs=0.03)
    assert standing.miou == pytest.approx(0.75 / 1.25, abs=0.04)


def test_flicker_by_hand_on_a_still_picture() -> None:
    image, labels = moving_scene(1)[0]
    flicker = labels.copy()
    flicker[:36] = 3  # a quarter of the picture; a quarter of that had been 3
    score = consistency([(image, labels), (image, flicker)])
    assert score.confusion.counts.sum() == HEIGHT * WIDTH
    assert score.confusion.pixel_accuracy == 1 - 0.25 * 0.75
    # Classes 0 to 2: 3/4 of the pixels stay. Class 3: all stay, beside 3/4 of another class's number.
    assert score.miou == pytest.approx((3 * 0.75 + 1 / 1.75) / 4)


def test_pixels_without_a_class_before_count_nowhere_and_lost_ones_are_wrong() -> None:
    image, labels = moving_scene(1)[0]
    none = np.full_like(labels, 200)
    assert np.isnan(consistency([(image, none), (image, labels)]).miou)
    assert consistency([(image, labels), (image, none)]).confusion.pixel_accuracy == 0


def test_warped_labels_by_hand() -> None:
    labels = np.array([[0, 1, 2, 3]], np.uint8)
    flow = np.zeros((1, 4, 2), np.float32)
    flow[0, :, 0] = [-1, -1, -0.6, 1.4]
    known = np.array([[True, True, True, True]])
    # Outside; 1 was at 0; 1.4 is nearest to 1; 4.4 is outside.
    assert warp_labels(labels, flow, known).tolist() == [[UNKNOWN, 0, 1, UNKNOWN]]
    assert warp_labels(labels, flow, ~known).tolist() == [[UNKNOWN] * 4]


def test_hidden_content_is_left_out() -> None:
    """Nobody saw before what a moving patch uncovers."""
    rng = np.random.default_rng(1)
    texture = [
        cv2.GaussianBlur(rng.integers(0, 256, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 1.5) for _ in 'ab'
    ]
    wall, patch = ((t - t.min()) * (255 / np.ptp(t)) for t in texture)
    frames = []
    for left in (50, 58):
        image, mask = wall.copy(), np.zeros((HEIGHT, WIDTH), np.uint8)
        image[40:104, left : left + 64] = patch[40:104, 50:114]
        mask[40:104, left : left + 64] = 1
        frames.append((np.repeat(image.astype(np.uint8)[..., None], 3, 2), mask))
    score = consistency(frames)
    uncovered = 64 * 8
    assert score.confusion.counts.sum() < HEIGHT * WIDTH - uncovered / 2
    assert score.confusion.pixel_accuracy > 0.97


def test_streams_do_not_mix_and_merge_is_exact() -> None:
    scene = moving_scene(3)
    whole, first, second = (TemporalConsistency(4, UNKNOWN) for _ in range(3))
    for part, frames in ((first, scene[:2]), (second, [scene[2], scene[0]])):
        whole.new_stream()
        for image, mask in frames:
            part.add(image, mask)
            whole.add(image, mask)
    assert not np.array_equal(first.confusion.counts, second.confusion.counts)
    first.merge(second)
    assert np.array_equal(first.confusion.counts, whole.confusion.counts)
    kept = TemporalConsistency.from_dict(json.loads(json.dumps(first.to_dict())))
    assert (kept.miou, kept.confusion.pixel_accuracy) == (whole.miou, whole.confusion.pixel_accuracy)


def test_errors() -> None:
    score = TemporalConsistency(4, UNKNOWN)
    image, mask = moving_scene(1)[0]
    with pytest.raises(VssError, match='mask of its size'):
        score.add(image, mask[1:])
    with pytest.raises(VssError, match='at least 16'):
        score.add(image[:15], mask[:15])
    score.add(image, mask)
    with pytest.raises(VssError, match='new_stream'):
        score.add(image[:40], mask[:40])
    score.new_stream()
    score.add(image[:40], mask[:40])
