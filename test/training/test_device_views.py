"""Views made on a device show what those made on the CPU show."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import torch

from vss_ros.datasets import augment
from vss_ros.datasets.augment import Framing, draw_framing
from vss_ros.datasets.labelled import FileSequence, LabelledImages
from vss_ros.recordings.open import open_source
from vss_ros.resources import resource
from vss_ros.training import still_batches as device_views
from vss_ros.training.still_batches import HeldImages, can_be_held, framed, lit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vss_ros.datasets.augment import Light

VOID = 11
SIZE, CROP = (360, 480), (192, 256)
CPU = torch.device('cpu')


@cache
def street() -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Return some frames of the embedded clip with their labels."""
    with open_source(resource('test', 'data', 'street')) as source:
        return [(frame.image, labels) for frame, labels in islice(source, 3) if labels is not None]


def quiet(seed: int) -> Framing:
    """Return a random framing, the light without noise, which either way draws for itself."""
    framing = draw_framing(SIZE, CROP, np.random.default_rng(seed))
    return replace(framing, light=replace(framing.light, noise=0.0))


def both(
    seed: int, light: Light | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Return images and labels of OpenCV's and of the device's way."""
    image, labels = street()[seed % 3]
    framing, rng = quiet(seed), np.random.default_rng(0)
    light = light or framing.light
    view = cv2.warpAffine(
        image, framing.matrix, CROP[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    seen = cv2.warpAffine(labels, framing.matrix, CROP[::-1], flags=cv2.INTER_NEAREST, borderValue=VOID)
    there, ids = framed(torch.from_numpy(image), torch.from_numpy(labels), framing, CROP, VOID)
    return (
        augment.lit(np.asarray(view, np.uint8), light, rng),
        np.asarray(seen, np.uint8),
        lit(there, light, rng).numpy(),
        ids.numpy(),
    )


@pytest.mark.parametrize('seed', range(12))
def test_device_and_opencv_make_the_same_view(seed: int) -> None:
    image, labels, there, ids = both(seed)
    assert there.shape == image.shape
    assert ids.dtype == labels.dtype
    assert (ids == labels).mean() > 0.99
    assert np.abs(there.astype(int) - image).mean() < 1  # of 255
    assert np.abs(there.astype(int) - image).max() < 16


@pytest.mark.parametrize('blur', [0.4, 0.8, 1.2])
def test_device_and_opencv_blur_alike(blur: float) -> None:
    image, _, there, _ = both(1, replace(quiet(1).light, blur=blur))
    sharp, *_ = both(1, replace(quiet(1).light, blur=0.0))
    assert np.abs(there.astype(int) - image).mean() < 0.25  # 0.42, 2.8 and 4.5 without blur
    assert np.abs(sharp.astype(int) - image).mean() > 0.35


def test_noise_is_as_strong_and_the_same_for_the_same_seed() -> None:
    calm = replace(quiet(2).light, blur=0.0)
    grey = torch.full((3, *CROP), 0.4)
    quietly = lit(grey, calm, np.random.default_rng(0)).float()
    noisy = [lit(grey, replace(calm, noise=0.02), np.random.default_rng(i)).float() for i in (0, 0, 1)]
    assert (noisy[0] - quietly).std() / 255 == pytest.approx(0.02, rel=0.05)
    assert torch.equal(noisy[0], noisy[1])
    assert not torch.equal(noisy[0], noisy[2])


def test_held_stills_are_viewed_as_the_same_draws_say() -> None:
    whole = street()[0]
    stills = [whole, (whole[0][:100].copy(), whole[1][:100].copy())]  # of different sizes
    held = HeldImages(LabelledImages([i for i, _ in stills], [x for _, x in stills], ['a', 'b']), CPU)
    for place in (0, 1):
        for seed in range(6):
            ours, theirs = np.random.default_rng(seed), np.random.default_rng(seed)
            view, seen = held.random_view(place, CROP, ours, VOID)
            image, labels = augment.random_view(*stills[place], CROP, theirs, VOID)
            assert (seen.numpy() == labels).mean() > 0.99
            assert np.abs(view.numpy().astype(int) - image).mean() < 12  # noise differs


def test_only_what_is_in_memory_and_small_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    image, labels = street()[0]
    data = LabelledImages([image], [labels], ['a'])
    assert can_be_held(data)
    assert not can_be_held(replace(data, images=FileSequence([], lambda _: image)))
    monkeypatch.setattr(device_views, 'LARGEST', image.nbytes)
    assert not can_be_held(data)  # with the labels it is larger
