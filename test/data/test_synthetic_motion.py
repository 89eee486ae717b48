"""Earlier views: still cameras see the same, moving ones an expanding world; objects move on their own."""

from __future__ import annotations

import numpy as np

from vss_ros.data.camvid import LabelledImages
from vss_ros.data.pairs import DrivePairs, StillPairs
from vss_ros.data.synthetic_motion import Drive, cut_objects, earlier_view_map, paste

STILL = Drive(0.0, 0.0, 0.0, 0.0, (8.0, 8.0), 0.45, 0.5)


def scene(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return a random image with sky above, road below and one car."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)
    labels = np.full((90, 120), 3, np.uint8)
    labels[:40] = 0
    labels[50:66, 40:60] = 8
    return image, labels


def stills(count: int) -> LabelledImages:
    """Return labelled stills named as frames of two drives."""
    pairs = [scene(i) for i in range(count)]
    names = [f'drive{i // 12}_{i % 12:06d}' for i in range(count)]
    return LabelledImages([image for image, _ in pairs], [labels for _, labels in pairs], names)


def test_a_standing_camera_sees_the_same() -> None:
    _, labels = scene()
    field = earlier_view_map(labels, STILL, 0.5)
    y, x = np.mgrid[0:90, 0:120]
    assert np.allclose(field, np.stack((x, y), -1), atol=1e-3)


def test_driving_on_the_world_expands_from_the_vanishing_point_but_the_sky_stays() -> None:
    _, labels = scene()
    field = earlier_view_map(labels, Drive(8.0, 0.0, 0.0, 0.0, (8.0, 8.0), 0.45, 0.5), 0.2)
    y, x = np.mgrid[0:90, 0:120]
    moved = field - np.stack((x, y), -1)
    assert np.allclose(moved[:30], 0, atol=1e-3)
    below = moved[80, :, 1]
    assert (below > 0).all()
    assert (np.sign(moved[70, [10, 110], 0]) == [-1, 1]).all()
    assert below[60] > moved[60, 60, 1]  # what is nearer moves faster


def test_objects_are_cut_and_pasted_with_their_label() -> None:
    data = stills(1)
    (cutout,) = cut_objects(data)
    assert cutout.label == 8
    assert cutout.alpha.shape == (16, 20)
    image, labels = np.zeros((90, 120, 3), np.uint8), np.zeros((90, 120), np.uint8)
    paste(image, labels, cutout, (100.0, 20.0), 1.0)
    assert (labels == 8).sum() == 16 * 20
    paste(image, labels, cutout, (-500.0, -500.0), 1.0)  # out of sight is no error
    assert (labels == 8).sum() == 16 * 20


def test_pairs_repeat_with_their_seed_and_end_in_labelled_frames() -> None:
    for source in (StillPairs(stills(3)), DrivePairs(stills(24))):
        for index in range(len(source)):
            draws = [source.draw(index, (2, 10), (64, 80), np.random.default_rng(5)) for _ in range(2)]
            for triple in draws:
                assert triple.key.shape == triple.between.shape == triple.current.shape == (64, 80, 3)
                assert triple.labels.shape == (64, 80)
            assert np.array_equal(draws[0].key, draws[1].key)
            assert np.array_equal(draws[0].labels, draws[1].labels)


def test_drive_pairs_stay_within_their_drive() -> None:
    data = stills(24)
    for i, image in enumerate(data.images):
        image[:] = i // 12 * 100 + 50  # the drive's number as brightness
    pairs = DrivePairs(data)
    for index in range(24):
        triple = pairs.draw(index, (2, 10), (64, 80), np.random.default_rng(index))
        assert {int(np.median(view)) for view in (triple.key, triple.between, triple.current)} in (
            {50},
            {150},
        )
