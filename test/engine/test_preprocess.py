"""Camera images brought to a network's input, and averaged for what looks at less."""

import numpy as np
import pytest
import torch

from vss_ros.engine.preprocess import IMAGENET, Preprocessor, averaged, normalise
from vss_ros.engine.view import View

RNG = np.random.default_rng(0)


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize('stride', [1, 2, 3, 4, 6, 8])
def test_cells_are_means_of_their_pixels(stride: int) -> None:
    images = noise(2, 48, 98, 3)  # 98 is no multiple of most: what is left over at the border is left out

    cells = averaged(images, stride)

    height, width = 48 // stride, 98 // stride
    whole = images[:, : height * stride, : width * stride].reshape(2, height, stride, width, stride, 3)
    assert cells.shape == (2, height, width, 3)
    assert np.abs(cells - whole.mean((2, 4))).max() <= 1.5  # each halving rounds
    assert abs((cells - whole.mean((2, 4))).mean()) < 0.4  # an eighth of a grey level up


def test_cells_and_small_images_are_those_of_the_last_image() -> None:
    preprocess = Preprocessor(IMAGENET, (64, 96), 32, torch.device('cpu'))
    for image in (noise(64, 96, 3), noise(64, 96, 3)):
        preprocess(image)
        assert np.array_equal(preprocess.cells(4), averaged(image[None], 4))
        assert np.array_equal(preprocess.cells(2), averaged(image[None], 2))
        wanted = normalise(torch.from_numpy(averaged(image[None], 4)), IMAGENET)
        assert torch.allclose(preprocess.small(4), wanted, atol=1e-5)


def test_a_view_has_cells_whatever_its_image_is() -> None:
    image = noise(64, 96, 3)
    preprocess = Preprocessor(IMAGENET, (64, 96), 32, torch.device('cpu'))
    pixels = preprocess(image)[None]

    lazy, ready = View(pixels, preprocess), View(pixels, preprocess.image())

    assert np.array_equal(lazy.cells(4), ready.cells(4))
