"""Random views are drawn before they are made; what comes out is what the shipped weights were trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from motion_parts import smooth

from vss_ros.datasets.augment import draw_framing, random_view

if TYPE_CHECKING:
    from numpy.typing import NDArray

VOID = 11
CROP = (64, 96)


def stills() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return an image and its labels."""
    ids = np.kron(np.arange(12, dtype=np.uint8).reshape(3, 4), np.ones((30, 30), np.uint8))
    return smooth(0), ids


def in_one_go(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a view as it was made, drawing on the way, when the shipped weights were trained."""
    height, width = labels.shape
    scale = np.exp(rng.uniform(*np.log((0.7, 1.7))))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, 2.5), scale)
    slack = np.array([width * scale - CROP[1], height * scale - CROP[0]])
    centre = np.array([CROP[1] / 2, CROP[0] / 2]) + rng.uniform(-0.5, 0.5, 2) * np.abs(slack)
    matrix[:, 2] += centre - (width / 2, height / 2)
    if rng.random() < 0.5:
        matrix[0] *= -1
        matrix[0, 2] += CROP[1] - 1
    mode = cv2.INTER_AREA if scale < 0.8 else cv2.INTER_LINEAR
    view = cv2.warpAffine(image, matrix, CROP[::-1], flags=mode, borderMode=cv2.BORDER_REFLECT_101)
    target = cv2.warpAffine(labels, matrix, CROP[::-1], flags=cv2.INTER_NEAREST, borderValue=VOID)
    x = view.astype(np.float32) / 255.0
    x = x ** np.exp(rng.normal(0, 0.18))
    x *= np.exp(rng.normal(0, 0.12)) * np.exp(rng.normal(0, 0.05, 3)).astype(np.float32)
    grey = x.mean(2, keepdims=True)
    x = grey + (x - grey) * np.exp(rng.normal(0, 0.25))
    mean = x.mean()
    x = mean + (x - mean) * np.exp(rng.normal(0, 0.15))
    if rng.random() < 0.15:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.15:
        x += rng.normal(0, rng.uniform(0.005, 0.03), x.shape).astype(np.float32)
    return np.asarray(np.clip(x, 0, 1) * 255, np.uint8), np.asarray(target, np.uint8)


def test_views_are_to_the_bit_what_they_were_when_drawing_and_making_were_one() -> None:
    image, labels = stills()
    blurred = noisy = 0
    for seed in range(60):
        then, now = np.random.default_rng(seed), np.random.default_rng(seed)
        expected, got = in_one_go(image, labels, then), random_view(image, labels, CROP, now, VOID)
        assert np.array_equal(expected[0], got[0])
        assert np.array_equal(expected[1], got[1])
        assert then.bytes(8) == now.bytes(8)  # as much was drawn
        light = draw_framing((90, 120), CROP, np.random.default_rng(seed)).light
        blurred, noisy = blurred + (light.blur > 0), noisy + (light.noise > 0)
    assert blurred >= 3
    assert noisy >= 3  # so that both were compared


@pytest.mark.parametrize('seed', [0, 1])
def test_what_lies_beyond_the_labels_is_void(seed: int) -> None:
    image, labels = stills()
    _, seen = random_view(image, np.zeros_like(labels), (180, 240), np.random.default_rng(seed), VOID)
    assert set(np.unique(seen)) == {0, VOID}
