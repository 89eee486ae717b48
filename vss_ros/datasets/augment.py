"""Random views of labelled stills: which part of an image, in which light; drawn first, then made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch.nn.functional import conv2d, grid_sample, pad

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Light:
    """How an image is re-lit."""

    gamma: float
    """Exponent of values in 0..1."""
    gains: tuple[float, ...]
    """Exposure and white balance: a factor for each of R, G and B."""
    saturation: float
    """Factor on the distance from the pixel's grey."""
    contrast: float
    """Factor on the distance from the image's mean."""
    blur: float
    """Standard deviation of the Gaussian, pixels; 0 for none."""
    noise: float
    """Standard deviation of the noise, of values in 0..1; 0 for none."""


@dataclass(frozen=True, slots=True, eq=False)
class Framing:
    """Which part of an image a view shows, and in which light."""

    matrix: NDArray[np.float64]
    """Leads pixels ``(x, y, 1)`` of the image to those of the view, ``(2, 3)``."""
    light: Light


@dataclass(frozen=True, slots=True)
class ViewRange:
    """How far views stray from their stills."""

    scales: tuple[float, float] = (0.7, 1.7)
    """Bounds of the random zoom."""
    light: float = 1.0
    """Factor on how much the light varies; blur and noise come as often and as strong as ever."""


USUAL = ViewRange()


def random_view(
    image: Tensor,
    labels: Tensor,
    crop: tuple[int, int],
    rng: np.random.Generator,
    void: int,
    view_range: ViewRange = USUAL,
) -> tuple[Tensor, Tensor]:
    """Scale, rotate a little, flip, crop and re-light one labelled image, on the device it lies on.

    From RGB ``(H, W, 3)`` and ids ``(H, W)`` to ``(*crop, 3)`` and ``crop``, all uint8; pixels outside the
    image get the id ``void``.
    """
    framing = draw_framing((labels.shape[0], labels.shape[1]), crop, rng, view_range)
    view, seen = framed(image, labels, framing, crop, void)
    return lit(view, framing.light, rng), seen


def draw_framing(
    size: tuple[int, int], crop: tuple[int, int], rng: np.random.Generator, view_range: ViewRange = USUAL
) -> Framing:
    """Draw what `random_view` makes of an image; ``size`` and ``crop`` are heights and widths."""
    height, width = size
    scale = np.exp(rng.uniform(*np.log(view_range.scales)))
    turned = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, 2.5), scale)
    matrix = np.asarray(turned, np.float64)
    slack = np.array([width * scale - crop[1], height * scale - crop[0]])
    centre = np.array([crop[1] / 2, crop[0] / 2]) + rng.uniform(-0.5, 0.5, 2) * np.abs(slack)
    matrix[:, 2] += centre - (width / 2, height / 2)
    if rng.random() < 0.5:
        matrix[0] *= -1
        matrix[0, 2] += crop[1] - 1
    return Framing(matrix, draw_light(rng, view_range.light))


def draw_light(rng: np.random.Generator, strength: float = 1.0) -> Light:
    """Draw exposure, contrast, white balance, saturation, gamma, and sometimes blur or noise."""
    gamma = float(np.exp(rng.normal(0, 0.18 * strength)))
    exposure, white_balance = rng.normal(0, 0.12 * strength), rng.normal(0, 0.05 * strength, 3)
    return Light(
        gamma=gamma,
        gains=tuple(np.exp(exposure + white_balance).tolist()),
        saturation=float(np.exp(rng.normal(0, 0.25 * strength))),
        contrast=float(np.exp(rng.normal(0, 0.15 * strength))),
        blur=rng.uniform(0.4, 1.2) if rng.random() < 0.15 else 0.0,
        noise=rng.uniform(0.005, 0.03) if rng.random() < 0.15 else 0.0,
    )


def framed(
    image: Tensor, labels: Tensor, framing: Framing, crop: tuple[int, int], void: int
) -> tuple[Tensor, Tensor]:
    """Return the part of a still that a view shows, as it is lit in the still.

    Returns:
        RGB ``(3, *crop)`` float32 in 0..1, the image mirrored beyond its border, and ids ``crop`` uint8.
    """
    height, width = labels.shape
    x, y = _places(framing.matrix, crop, image.device)
    grid = torch.stack((2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1), -1)
    view = grid_sample(planes_of(image)[None], grid[None], 'bilinear', 'reflection', align_corners=True)
    column, row = x.round().long(), y.round().long()
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    nearest = labels[row.clamp(0, height - 1), column.clamp(0, width - 1)]
    return view[0], torch.where(inside, nearest, void)


def planes_of(image: Tensor) -> Tensor:
    """Return RGB ``(H, W, 3)`` uint8 as ``(3, H, W)`` float32 in 0..1."""
    return image.movedim(-1, 0).float() / 255.0


def lit(x: Tensor, light: Light, rng: np.random.Generator) -> Tensor:
    """Return RGB ``(3, H, W)`` float32 in 0..1 in another light, ``(H, W, 3)`` uint8.

    Noise comes from the device's own generator, of which only the seed is drawn from ``rng``: half a million
    normal numbers of NumPy's take longer than all else.
    """
    gains = torch.tensor(light.gains, device=x.device)
    x = x**light.gamma * gains[:, None, None]
    grey = x.mean(0, keepdim=True)
    x = grey + (x - grey) * light.saturation
    mean = x.mean()
    x = mean + (x - mean) * light.contrast
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
