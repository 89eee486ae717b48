"""Random views of labelled stills for training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def random_view(
    image: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    crop: tuple[int, int],
    rng: np.random.Generator,
    void: int,
    scales: tuple[float, float] = (0.7, 1.7),
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Scale, rotate a little, flip, crop and re-light one labelled image.

    Args:
        image: RGB ``(H, W, 3)``.
        labels: Ids ``(H, W)``.
        crop: Height and width of the result.
        rng: Source of randomness.
        void: Id given to pixels outside the image.
        scales: Bounds of the random zoom.

    Returns:
        Image ``(*crop, 3)`` and labels ``crop``.

    """
    height, width = labels.shape
    scale = np.exp(rng.uniform(*np.log(scales)))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, 2.5), scale)
    slack = np.array([width * scale - crop[1], height * scale - crop[0]])
    centre = np.array([crop[1] / 2, crop[0] / 2]) + rng.uniform(-0.5, 0.5, 2) * np.abs(slack)
    matrix[:, 2] += centre - (width / 2, height / 2)
    if rng.random() < 0.5:
        matrix[0] *= -1
        matrix[0, 2] += crop[1] - 1
    size = (crop[1], crop[0])
    mode = cv2.INTER_AREA if scale < 0.8 else cv2.INTER_LINEAR
    view = cv2.warpAffine(image, matrix, size, flags=mode, borderMode=cv2.BORDER_REFLECT_101)
    target = cv2.warpAffine(
        labels, matrix, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=void
    )
    return relight(np.asarray(view, np.uint8), rng), np.asarray(target, np.uint8)


def relight(image: NDArray[np.uint8], rng: np.random.Generator, strength: float = 1.0) -> NDArray[np.uint8]:
    """Vary exposure, contrast, white balance, saturation, gamma, and sometimes blur or noise."""
    x = image.astype(np.float32) / 255.0
    x = x ** np.exp(rng.normal(0, 0.18 * strength))
    x *= np.exp(rng.normal(0, 0.12 * strength)) * np.exp(rng.normal(0, 0.05 * strength, 3)).astype(np.float32)
    grey = x.mean(2, keepdims=True)
    x = grey + (x - grey) * np.exp(rng.normal(0, 0.25 * strength))
    mean = x.mean()
    x = mean + (x - mean) * np.exp(rng.normal(0, 0.15 * strength))
    if rng.random() < 0.15:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.15:
        x += rng.normal(0, rng.uniform(0.005, 0.03), x.shape).astype(np.float32)
    return np.asarray(np.clip(x, 0, 1) * 255, np.uint8)
