"""Random views are drawn before they are made, and show what OpenCV and NumPy make of the same draws."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import torch

from vss_ros.datasets.augment import draw_framing, lit, planes_of, random_view
from vss_ros.recordings.open import open_source
from vss_ros.resources import resource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vss_ros.datasets.augment import Light

VOID = 11
SIZE, CROP = (360, 480), (192, 256)


@cache
def street() -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Return some frames of the embedded clip with their labels."""
    with open_source(resource('test', 'data', 'street')) as source:
        return [(frame.image, labels) for frame, labels in islice(source, 3) if labels is not None]


def in_one_go(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a view as OpenCV and NumPy make it, drawn on the way."""
    height, width = labels.shape
    scale = np.exp(rng.uniform(*np.log((0.7, 1.7))))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, 2.5), scale)
    slack = np.array([width * scale - CROP[1], height * scale - CROP[0]])
    centre = np.array([CROP[1] / 2, CROP[0] / 2]) + rng.uniform(-0.5, 0.5, 2) * np.abs(slack)
    matrix[:, 2] += centre - (width / 2, height / 2)
    if rng.random() < 0.5:
        matrix[0] *= -1
        matrix[0, 2] += CROP[1] - 1
    view = cv2.warpAffine(image, matrix, CROP[::-1], borderMode=cv2.BORDER_REFLECT_101)
    target = cv2.warpAffine(labels, matrix, CROP[::-1], flags=cv2.INTER_NEAREST, borderValue=VOID)
    x = view.astype(np.float32) / 255.0
    x = x ** np.exp(rng.normal(0, 0.18))
    x *= np.exp(rng.normal(0, 0.12)) * np.exp(rng.normal(0, 0.05, 3))
    grey = x.mean(2, keepdims=True)
    x = grey + (x - grey) * np.exp(rng.normal(0, 0.25))
    mean = x.mean()
    x = mean + (x - mean) * np.exp(rng.normal(0, 0.15))
    if rng.random() < 0.15:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.15:
        x += rng.normal(0, rng.uniform(0.005, 0.03), x.shape)
    return np.asarray(np.clip(x, 0, 1) * 255, np.uint8), np.asarray(target, np.uint8)


def light_of(seed: int) -> Light:
    """Return the light of the random view of a seed."""
    return draw_framing(SIZE, CROP, np.random.default_rng(seed)).light


def test_views_are_what_opencv_and_numpy_make_of_the_same_draws() -> None:
    blurred = noisy = 0
    for seed in range(60):
        image, labels = street()[seed % 3]
        then, now = np.random.default_rng(seed), np.random.default_rng(seed)
        expected, ids = in_one_go(image, labels, then)
        tensors = torch.from_numpy(image), torch.from_numpy(labels)
        view, seen = (made.numpy() for made in random_view(*tensors, CROP, now, VOID))
        assert (view.shape, seen.shape) == ((*CROP, 3), CROP)
        assert view.dtype == seen.dtype == np.uint8
        assert (seen == ids).mean() > 0.99
        apart, light = np.abs(view.astype(int) - expected), light_of(seed)
        if light.noise:  # each draws it for itself
            assert apart.mean() < 12
        else:
            assert apart.mean() < 1  # of 255
            assert apart.max() < 16
            assert then.bytes(8) == now.bytes(8)  # as much was drawn
        blurred, noisy = blurred + (light.blur > 0), noisy + (light.noise > 0)
    assert blurred >= 3
    assert noisy >= 3  # so that both were compared


@pytest.mark.parametrize('blur', [0.4, 0.8, 1.2])
def test_blur_is_as_opencv_blurs(blur: float) -> None:
    image = street()[1][0]
    plain = replace(light_of(1), gamma=1.0, gains=(1, 1, 1), saturation=1.0, contrast=1.0, noise=0.0)
    rng = np.random.default_rng(0)
    sharp, ours = (
        lit(planes_of(torch.from_numpy(image)), replace(plain, blur=b), rng).numpy() for b in (0.0, blur)
    )
    expected = np.floor(cv2.GaussianBlur(image.astype(np.float32), (0, 0), blur))
    assert np.abs(ours - expected).mean() < 0.1
    assert np.abs(sharp - expected).mean() > 0.3


def test_noise_is_as_strong_and_the_same_for_the_same_seed() -> None:
    calm = replace(light_of(2), blur=0.0, noise=0.0)
    grey = torch.full((3, *CROP), 0.4)
    quietly = lit(grey, calm, np.random.default_rng(0)).float()
    noisy = [lit(grey, replace(calm, noise=0.02), np.random.default_rng(i)).float() for i in (0, 0, 1)]
    assert (noisy[0] - quietly).std() / 255 == pytest.approx(0.02, rel=0.05)
    assert torch.equal(noisy[0], noisy[1])
    assert not torch.equal(noisy[0], noisy[2])


@pytest.mark.parametrize('seed', [0, 1])
def test_what_lies_beyond_the_labels_is_void(seed: int) -> None:
    image, labels = (torch.from_numpy(pixels) for pixels in street()[0])
    _, seen = random_view(image, torch.zeros_like(labels), (720, 960), np.random.default_rng(seed), VOID)
    assert set(np.unique(seen)) == {0, VOID}
