"""Random views of labelled stills, made on the device where the stills lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import conv2d, grid_sample, pad

from vss_ros.data.augment import USUAL, draw_framing

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from vss_ros.data.augment import Framing, Light, ViewRange
    from vss_ros.data.labelled import LabelledImages

LARGEST = 2 << 30
"""Bytes of pixels and labels beyond which a data set stays where it is."""


def can_be_held(data: LabelledImages) -> bool:
    """Tell whether a data set is in memory, not on disk, and small enough for a device's."""
    pixels = (data.images, data.labels)
    return all(isinstance(p, list) for p in pixels) and sum(a.nbytes for p in pixels for a in p) <= LARGEST


class HeldImages:
    """Labelled stills as uint8 tensors on a device; their sizes may differ.

    Args:
        data: Images and labels in memory.
        device: Where they shall lie.

    """

    def __init__(self, data: LabelledImages, device: torch.device) -> None:
        """Copy them there."""
        self._images = [torch.from_numpy(image).to(device) for image in data.images]
        self._labels = [torch.from_numpy(labels).to(device) for labels in data.labels]

    def random_view(
        self,
        place: int,
        crop: tuple[int, int],
        rng: np.random.Generator,
        void: int,
        view_range: ViewRange = USUAL,
    ) -> tuple[Tensor, Tensor]:
        """Return what `augment.random_view` would make of still ``place``, but for rounding and noise.

        Args:
            place: Position of the still.
            crop: Height and width of the view.
            rng: Source of randomness.
            void: Id given to pixels outside the image.
            view_range: How far the view may stray from the still.

        Returns:
            Image ``(*crop, 3)`` and labels ``crop``, both uint8 on the device.

        """
        image, labels = self._images[place], self._labels[place]
        framing = draw_framing((labels.shape[0], labels.shape[1]), crop, rng, view_range)
        view, seen = framed(image, labels, framing, crop, void)
        return lit(view, framing.light, rng), seen


def framed(
    image: Tensor, labels: Tensor, framing: Framing, crop: tuple[int, int], void: int
) -> tuple[Tensor, Tensor]:
    """Return the part of a still that a view shows, as it is lit in the still.

    Args:
        image: RGB ``(H, W, 3)`` uint8.
        labels: Ids ``(H, W)`` uint8.
        framing: Which part.
        crop: Height and width of the view.
        void: Id given to pixels outside the image.

    Returns:
        RGB ``(3, *crop)`` float32 in 0..1, the image mirrored beyond its border, and ids ``crop`` uint8.

    """
    height, width = labels.shape
    x, y = _places(framing.matrix, crop, image.device)
    grid = torch.stack((2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1), -1)
    pixels = image.movedim(-1, 0)[None].float() / 255.0
    view = grid_sample(pixels, grid[None], 'bilinear', 'reflection', align_corners=True)
    column, row = x.round().long(), y.round().long()
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    nearest = labels[row.clamp(0, height - 1), column.clamp(0, width - 1)]
    return view[0], torch.where(inside, nearest, void)


def lit(x: Tensor, light: Light, rng: np.random.Generator) -> Tensor:
    """Return RGB ``(3, H, W)`` float32 in 0..1 in another light, ``(H, W, 3)`` uint8.

    Noise comes from the device's own generator, of which only the seed is drawn from ``rng``: half a million
    normal numbers of NumPy's take longer than all else.
    """
    gains = torch.tensor(light.gains.tolist(), device=x.device)
    x = x ** float(light.gamma) * gains[:, None, None]
    grey = x.mean(0, keepdim=True)
    x = grey + (x - grey) * float(light.saturation)
    mean = x.mean()
    x = mean + (x - mean) * float(light.contrast)
    if light.blur:
        x = _blurred(x, light.blur)
    if light.noise:
        generator = torch.Generator(x.device).manual_seed(int(rng.integers(1 << 62)))
        x = x + light.noise * torch.randn(x.shape, generator=generator, device=x.device)
    return (x.clamp(0, 1) * 255).to(torch.uint8).movedim(0, -1)


def _places(
    matrix: NDArray[np.float64], crop: tuple[int, int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return where in the image each pixel of the view lies, x and y, ``crop`` float32 each."""
    inverse = np.linalg.inv(np.vstack((matrix, (0, 0, 1))))[:2].tolist()
    columns = torch.arange(crop[1], device=device, dtype=torch.float32)
    rows = torch.arange(crop[0], device=device, dtype=torch.float32)[:, None]
    x, y = (a * columns + b * rows + c for a, b, c in inverse)
    return x, y


def _blurred(x: Tensor, sigma: float) -> Tensor:
    """Return ``(3, H, W)`` blurred as OpenCV does it: a Gaussian of 8 sigma, borders mirrored."""
    reach = (round(8 * sigma + 1) | 1) // 2
    kernel = torch.arange(-reach, reach + 1, device=x.device).float().div(sigma).square().mul(-0.5).exp()
    kernel = (kernel / kernel.sum())[None, None, None]
    planes = pad(x[:, None], (reach,) * 4, 'reflect')
    return conv2d(conv2d(planes, kernel), kernel.movedim(-1, -2))[:, 0]
