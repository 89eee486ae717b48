"""Objects cut from labelled stills, which move in front of other stills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vss_ros.datasets.labelled import LabelledImages


@dataclass(frozen=True, slots=True)
class Cutout:
    """An object with its outline."""

    image: NDArray[np.uint8]
    alpha: NDArray[np.float32]
    """0..1, ``(h, w)``."""
    label: int


@dataclass(frozen=True, slots=True)
class Mover:
    """An object on its own way through the image, at steady pace."""

    cutout: Cutout
    centre: tuple[float, float]
    """Column and row in the current view, pixels."""
    velocity: tuple[float, float]
    """Pixels per second."""
    scale: float
    """Of the cutout in the current view."""
    growth: float
    """Of the scale's logarithm, per second."""

    def matrix(self, seconds: float) -> NDArray[np.float64]:
        """Return the affine map ``(2, 3)`` from the cutout's pixels to the view ``seconds`` earlier."""
        scale = self.scale * np.exp(-self.growth * seconds)
        h, w = self.cutout.alpha.shape
        x, y = np.subtract(self.centre, np.multiply(self.velocity, seconds))
        return np.array([[scale, 0, x - scale * w / 2], [0, scale, y - scale * h / 2]])

    def moved(self, places: NDArray[np.float32], seconds: float) -> NDArray[np.float32]:
        """Return where places ``(2, H, W)`` on the object in the current view were ``seconds`` earlier."""
        now, then = self.matrix(0.0), self.matrix(seconds)
        scale = then[0, 0] / now[0, 0]
        shift = then[:, 2] - scale * now[:, 2]
        return np.asarray(places * scale + shift[:, None, None], np.float32)

    def alpha(self, seconds: float, size: tuple[int, int]) -> NDArray[np.float32]:
        """Return how much of each pixel of a view ``size`` the object covers, 0..1."""
        return np.asarray(cv2.warpAffine(self.cutout.alpha, self.matrix(seconds), size[::-1]), np.float32)

    def paint(self, image: NDArray[np.uint8], alpha: NDArray[np.float32], seconds: float) -> None:
        """Draw the object, in place, into a view ``(H, W, 3)`` ``seconds`` earlier, which ``alpha`` is of."""
        rows, columns = (np.flatnonzero(alpha.any(axis)) for axis in (1, 0))
        if not len(rows):
            return
        y, x = int(rows[0]), int(columns[0])
        region = (slice(y, int(rows[-1]) + 1), slice(x, int(columns[-1]) + 1))
        covered = alpha[region][..., None]
        matrix = self.matrix(seconds) - [[0, 0, x], [0, 0, y]]
        colour = cv2.warpAffine(
            self.cutout.image, matrix, covered.shape[1::-1], borderMode=cv2.BORDER_REPLICATE
        )
        image[region] = np.rint(image[region] * (1 - covered) + colour * covered).astype(np.uint8)


def cut_objects(
    data: LabelledImages, classes: tuple[int, ...], *, smallest: int = 150, largest: int = 16000
) -> list[Cutout]:
    """Return the objects of some classes whose outline does not touch the border; areas are in pixels."""
    found = []
    for image, labels in zip(data.images, data.labels, strict=True):
        for label in classes:
            count, parts, stats, _ = cv2.connectedComponentsWithStats((labels == label).astype(np.uint8))
            for i in range(1, count):
                x, y, w, h, area = (int(v) for v in stats[i])
                inside = x > 0 and y > 0 and x + w < labels.shape[1] and y + h < labels.shape[0]
                if smallest <= area <= largest and inside:
                    alpha = (parts[y : y + h, x : x + w] == i).astype(np.float32)
                    found.append(Cutout(image[y : y + h, x : x + w].copy(), alpha, label))
    return found


def random_mover(cutouts: list[Cutout], size: tuple[int, int], rng: np.random.Generator) -> Mover:
    """Return one of the objects somewhere in the lower part of a view ``size``, on some way."""
    height, width = size
    cutout = cutouts[rng.integers(len(cutouts))]
    scale = float(np.exp(rng.normal(0, 0.4)))
    scale = min(scale, 0.5 * width / cutout.alpha.shape[1], 0.6 * height / cutout.alpha.shape[0])
    x, y = rng.uniform(0, width), rng.uniform(0.4, 0.85) * height
    speed = rng.normal(0, (0.09 * width, 0.012 * height)) * np.sqrt(scale)
    return Mover(cutout, (x, y), (float(speed[0]), float(speed[1])), scale, float(rng.normal(0, 0.25)))
