"""From camera pixels to what a network eats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import torch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Per-channel statistics of RGB in 0..1."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def normalise(images: Tensor, statistics: Normalisation) -> Tensor:
    """Map RGB ``(N, H, W, 3)`` uint8 to normalised ``(N, 3, H, W)`` float32 in channels-last memory.

    The pixels keep their order in memory (H, W, C is what channels-last means), so nothing is transposed.
    """
    mean = torch.tensor(statistics.mean, device=images.device) * 255.0
    scale = 1.0 / (torch.tensor(statistics.std, device=images.device) * 255.0)
    return images.to(torch.float32).sub_(mean).mul_(scale).movedim(-1, 1)


def network_size(camera: tuple[int, int], card: tuple[int, int], multiple: int) -> tuple[int, int]:
    """Return the input size for a camera: the card's area, the camera's aspect, rounded to ``multiple``.

    Args:
        camera: Height and width of the images.
        card: Height and width the network was trained for.
        multiple: What the backbone's strides demand.

    """
    scale = ((card[0] * card[1]) / (camera[0] * camera[1])) ** 0.5
    height, width = (max(round(side * scale / multiple), 1) * multiple for side in camera)
    return height, width


class Preprocessor:
    """Resizes and normalises camera images to one network's input.

    Args:
        statistics: Mean and standard deviation of the model card.
        card_size: Height and width the network was trained for.
        multiple: What the backbone's strides demand.
        device: Where the network runs.
        fixed_size: Input size to use whatever the camera's; None follows ``network_size``.

    """

    def __init__(
        self,
        statistics: Normalisation,
        card_size: tuple[int, int],
        multiple: int,
        device: torch.device,
        fixed_size: tuple[int, int] | None = None,
    ) -> None:
        """Keep the settings."""
        self._statistics, self._device = statistics, device
        self._card_size, self._multiple, self._fixed_size = card_size, multiple, fixed_size

    def size(self, camera: tuple[int, int]) -> tuple[int, int]:
        """Return the network's input size for a camera's height and width."""
        return self._fixed_size or network_size(camera, self._card_size, self._multiple)

    def __call__(self, image: NDArray[np.uint8]) -> Tensor:
        """Return the network's input ``(1, 3, h, w)`` for an RGB image ``(H, W, 3)``."""
        height, width = self.size((image.shape[0], image.shape[1]))
        if image.shape[:2] != (height, width):
            shrinks = image.shape[0] > height
            image = cv2.resize(
                image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            )  # type: ignore[assignment]
        return normalise(torch.from_numpy(image).to(self._device).unsqueeze(0), self._statistics)
