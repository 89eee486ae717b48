"""Random views of labelled stills for training: first drawn, then made, here or on a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """How an image is re-lit. What is NumPy's own kind of number decides at which precision it computes."""

    gamma: np.float64
    """Exponent of values in 0..1."""
    gains: NDArray[np.float64]
    """Exposure and white balance: a factor for each of R, G and B."""
    saturation: np.float64
    """Factor on the distance from the pixel's grey."""
    contrast: np.float64
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
    image: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    crop: tuple[int, int],
    rng: np.random.Generator,
    void: int,
    view_range: ViewRange = USUAL,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Scale, rotate a little, flip, crop and re-light one labelled image.

    Args:
        image: RGB ``(H, W, 3)``.
        labels: Ids ``(H, W)``.
        crop: Height and width of the result.
        rng: Source of randomness.
        void: Id given to pixels outside the image.
        view_range: How far the view may stray from the still.

    Returns:
        Image ``(*crop, 3)`` and labels ``crop``.

    """
    framing = draw_framing((labels.shape[0], labels.shape[1]), crop, rng, view_range)
    size = (crop[1], crop[0])
    view = cv2.warpAffine(
        image, framing.matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    target = cv2.warpAffine(
        labels,
        framing.matrix,
        size,
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=void,
    )
    return lit(np.asarray(view, np.uint8), framing.light, rng), np.asarray(target, np.uint8)


def draw_framing(
    size: tuple[int, int], crop: tuple[int, int], rng: np.random.Generator, view_range: ViewRange = USUAL
) -> Framing:
    """Draw what `random_view` makes of an image.

    Args:
        size: Height and width of the image.
        crop: Height and width of the view.
        rng: Source of randomness.
        view_range: How far the view may stray from the still.

    """
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
    return Light(
        gamma=np.exp(rng.normal(0, 0.18 * strength)),
        gains=np.exp(rng.normal(0, 0.12 * strength))
        * np.exp(rng.normal(0, 0.05 * strength, 3)).astype(np.float32),
        saturation=np.exp(rng.normal(0, 0.25 * strength)),
        contrast=np.exp(rng.normal(0, 0.15 * strength)),
        blur=rng.uniform(0.4, 1.2) if rng.random() < 0.15 else 0.0,
        noise=rng.uniform(0.005, 0.03) if rng.random() < 0.15 else 0.0,
    )


def lit(image: NDArray[np.uint8], light: Light, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return an image ``(H, W, 3)`` in another light; only its noise is drawn from ``rng``."""
    x = image.astype(np.float32) / 255.0
    x = x**light.gamma
    x *= light.gains
    grey = x.mean(2, keepdims=True)
    x = grey + (x - grey) * light.saturation
    mean = x.mean()
    x = mean + (x - mean) * light.contrast
    if light.blur:
        x = np.asarray(cv2.GaussianBlur(x, (0, 0), light.blur))
    if light.noise:
        x += rng.normal(0, light.noise, x.shape).astype(np.float32)
    return np.asarray(np.clip(x, 0, 1) * 255, np.uint8)
