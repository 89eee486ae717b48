"""Earlier views of a still: the exact flow brings them back to it, and what was hidden is marked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from motion_parts import smooth, warped
from pydantic import ValidationError

from vss_ros.datasets.ego_motion import FRAME_SECONDS, Drive
from vss_ros.datasets.labelled import LabelledImages
from vss_ros.datasets.synthetic_motion import (
    Cutout,
    Mover,
    MovingStill,
    Variety,
    cut_objects,
    photographed,
    random_motion,
)

SIZE = (90, 120)
STILL = Drive(0.0, 0.0, 0.0, 0.0, (8.0, 8.0), 0.45, 0.5)
AHEAD = replace(STILL, speed=8.0)
CAR = 8


def scene(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return an image with sky above a row of houses, road, and one car."""
    labels = np.full(SIZE, 3, np.uint8)
    labels[:40] = 0
    labels[10:40, 80:] = 1
    labels[50:66, 40:60] = CAR
    return smooth(seed), labels


def cutout(seed: int = 9, size: tuple[int, int] = (16, 20)) -> Cutout:
    """Return a car that fills its box."""
    return Cutout(smooth(seed, size), np.ones(size, np.float32), CAR)


def mover(x: float, y: float, speed: float, growth: float = 0.0) -> Mover:
    """Return a car that drives to the right at ``speed`` pixels a second."""
    return Mover(cutout(), (x, y), (speed, 0.0), 1.0, growth)


@pytest.mark.parametrize('seed', range(12))
@pytest.mark.parametrize('distance', [1, 4, 10])
def test_the_flow_brings_an_earlier_view_back(seed: int, distance: int) -> None:
    image, labels = scene(seed)
    moving = random_motion(image, labels, [cutout()], Variety(), np.random.default_rng(seed))
    earlier, now = moving.at(distance * FRAME_SECONDS), moving.at(0.0)
    flow = moving.flow(earlier)
    known = ~np.isnan(flow[..., 0])
    assert flow.dtype == np.float32
    assert (known == ~np.isnan(flow[..., 1])).all()
    assert known.mean() > 0.3
    error = np.abs(warped(moving.image(earlier), flow).astype(int) - moving.image(now))[known]
    assert error.mean() < 1.5  # of 255, what interpolating twice and rounding cost
    assert np.quantile(error, 0.99) < 15
    same = warped(moving.labels(earlier), flow, cv2.INTER_NEAREST) == moving.labels(now)
    assert same[known].mean() > 0.99


def test_what_an_object_hid_has_no_flow_and_the_object_has_its_own() -> None:
    image, labels = scene()
    moving = MovingStill(image, labels, STILL, (mover(60.0, 45.0, speed=75.0),))
    flow = moving.flow(moving.at(0.2))  # 15 pixels
    now, before = np.s_[38:52, 52:68], np.s_[38:52, 37:49]
    assert np.allclose(flow[now], (-15, 0), atol=1e-3)
    assert np.isnan(flow[before]).all()  # seen now, hidden then
    assert np.allclose(flow[:30], 0, atol=1e-3)
    assert np.allclose(flow[70:], 0, atol=1e-3)


def test_the_later_of_two_objects_is_in_front() -> None:
    image, labels = scene()
    standing, passing = mover(60.0, 45.0, speed=0.0), mover(95.0, 45.0, speed=175.0)
    hidden = MovingStill(image, labels, STILL, (standing, passing))
    over = MovingStill(image, labels, STILL, (passing, standing))
    middle = np.s_[40:50, 54:66]
    assert np.isnan(hidden.flow(hidden.at(0.2))[middle]).all()  # the other was there, in front
    assert np.allclose(over.flow(over.at(0.2))[middle], 0, atol=1e-3)


def test_houses_hid_the_sky_that_shows_beside_them() -> None:
    image, labels = scene()
    moving = MovingStill(image, labels, AHEAD)
    earlier = moving.at(0.5)
    flow = moving.flow(earlier)
    sky = labels == 0
    known = sky & ~np.isnan(flow[..., 0])
    assert np.abs(flow[known]).max() < 1e-3  # infinitely far
    # The sky stays where it is, so that exactly what is a house there in the earlier view hid it.
    house = moving.labels(earlier) == 1
    assert (sky & house).sum() > 30
    assert np.isnan(flow[sky & house]).all()
    wide = cv2.dilate(house.astype(np.uint8), np.ones((3, 3))) > 0
    assert known[sky & ~wide].all()


def test_what_was_outside_has_no_flow() -> None:
    image, labels = scene()
    moving = MovingStill(image, labels, replace(STILL, yaw_rate=0.2))
    flow = moving.flow(moving.at(0.5))
    aside = flow[~np.isnan(flow[..., 0])][:, 0].mean()
    gone = np.isnan(flow[..., 0])
    outside = np.s_[:, :8] if aside < 0 else np.s_[:, -8:]
    assert abs(aside) > 8
    assert gone[outside].all()
    assert not gone[10:-10, 20:-20].any()


def test_motion_grows_with_the_distance() -> None:
    image, labels = scene()
    moving = MovingStill(image, labels, replace(AHEAD, yaw_rate=0.05, pitch=0.002))
    flows = [moving.flow(moving.at(frames * FRAME_SECONDS)) for frames in range(1, 11)]
    everywhere = ~np.isnan(np.stack(flows)).any((0, 3))
    lengths = [np.linalg.norm(flow[everywhere], axis=-1).mean() for flow in flows]
    assert everywhere.sum() > 1000
    assert (np.diff(lengths) > 0.01).all()


def test_exposure_blurs_what_moves_and_nothing_else() -> None:
    image, labels = scene()
    standing = MovingStill(image, labels, STILL)
    assert np.array_equal(standing.exposed(standing.at(0.2), 0.05), standing.image(standing.at(0.2)))
    fine = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    driving = MovingStill(fine, labels, AHEAD)
    for seconds in (0.0, 0.2):
        sharp, soft = driving.image(driving.at(seconds)), driving.exposed(driving.at(seconds), 0.05)
        change = [np.abs(np.diff(view[60:].astype(int), axis=1)).mean() for view in (sharp, soft)]
        assert change[1] < 0.7 * change[0]
        assert abs(float(sharp.mean()) - float(soft.mean())) < 5


def test_every_part_can_be_switched_off() -> None:
    image, labels = scene()
    plain = Variety(objects=0, lens=0, light=0, blur=0)
    rng = np.random.default_rng(1)
    moving = random_motion(image, labels, [cutout()], plain, rng)
    assert np.array_equal(moving.labels(moving.at(0.0)), labels)
    views = photographed(moving, [moving.at(0.0), moving.at(0.1)], plain, rng)
    assert np.array_equal(views[0], image)
    assert np.array_equal(views[1], moving.image(moving.at(0.1)))
    lit = photographed(moving, [moving.at(0.0)], plain.model_copy(update={'light': 0.5}), rng)
    assert abs(float(lit[0].mean()) - float(image.mean())) > 0.5


def test_all_frames_are_as_sharp_and_noisy_as_the_camera_is() -> None:
    _, labels = scene()
    fine = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    only_light = Variety(objects=0, lens=0, light=0.2, blur=0)
    moving = MovingStill(fine, labels, STILL)
    sharpness = []
    for seed in range(30):
        moments = [moving.at(0.0), moving.at(0.1)]
        views = photographed(moving, moments, only_light, np.random.default_rng(seed))
        change = [float(np.abs(np.diff(view.astype(int), axis=1)).mean()) for view in views]
        assert change[0] == pytest.approx(change[1], rel=0.25)
        sharpness.append(change[0])
    assert max(sharpness) > 2 * min(sharpness)  # some cameras are blurred


@pytest.mark.parametrize(
    'wrong', [{'fog': 1}, {'light': -1}, {'objects': 1.5}, {'lens': 'much'}, {'blur': float('nan')}]
)
def test_a_recipe_states_the_variety_or_is_refused(wrong: dict[str, Any]) -> None:
    assert Variety.model_validate({'blur': 0, 'objects': 1}) == Variety(blur=0, objects=1)
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Variety.model_validate({'light': 0.1, **wrong})


def test_objects_are_cut_and_painted_with_their_label() -> None:
    image, labels = scene()
    (found,) = cut_objects(LabelledImages([image], [labels], ['a']), (CAR,))
    assert found.label == CAR
    assert found.alpha.shape == (16, 20)
    ground = np.full(SIZE, 3, np.uint8)
    moving = MovingStill(image, ground, STILL, (Mover(found, (100.0, 20.0), (0.0, 0.0), 1.0, 0.0),))
    assert (moving.labels(moving.at(0.0)) == CAR).sum() == 16 * 20
    assert np.array_equal(moving.image(moving.at(0.0))[12:28, 90:110], found.image)
    away = MovingStill(image, ground, STILL, (Mover(found, (-500.0, -500.0), (0.0, 0.0), 1.0, 0.0),))
    assert np.array_equal(away.image(away.at(0.0)), image)  # out of sight is no error
