"""From camera images to a network's input: size and normalisation."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from vss_ros.engine.option import written_size
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

# The view of a message's bytes is read-only, and is only read.
warnings.filterwarnings('ignore', message='The given NumPy array is not writable')


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Per-channel statistics of RGB in 0..1."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


NEARLY = 1.25
"""Most camera pixels per network pixel, along a side, that bilinear interpolation reads all."""
IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
BYTES = Normalisation((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255))
"""Leaves pixels as they are, for networks that normalise inside."""


def normalise(images: Tensor, statistics: Normalisation) -> Tensor:
    """Map RGB ``(N, H, W, 3)`` uint8 to normalised ``(N, 3, H, W)`` float32 in channels-last memory.

    The pixels keep their order in memory (H, W, C is what channels-last means), so nothing is transposed.
    """
    mean = torch.tensor(statistics.mean, device=images.device) * 255.0
    scale = 1.0 / (torch.tensor(statistics.std, device=images.device) * 255.0)
    return ((images.to(torch.float32) - mean) * scale).permute(0, 3, 1, 2)


def network_size(camera: tuple[int, int], card: tuple[int, int], multiple: int) -> tuple[int, int]:
    """Return the input size for a camera: the card's area, the camera's aspect, rounded to ``multiple``."""
    scale = ((card[0] * card[1]) / (camera[0] * camera[1])) ** 0.5
    height, width = (max(round(side * scale / multiple), 1) * multiple for side in camera)
    return height, width


def averaged(images: NDArray[np.uint8], stride: int) -> NDArray[np.uint8]:
    """Return RGB images ``(N, H, W, 3)`` averaged over square cells to whole grey levels.

    The answer is ``(N, H/stride, W/stride, 3)``. By halves where that can be: it takes a third of the time.
    """
    while stride > 1:
        step = stride if stride % 2 else 2
        height, width = (side // step for side in images.shape[1:3])
        whole = images[:, : height * step, : width * step]
        cells = [cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) for image in whole]
        images = np.stack(cells) if len(cells) > 1 else np.asarray(cells[0])[None]
        stride //= step
    return images


def fitted(image: NDArray[np.uint8], multiple: int, only: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Return an RGB image ``(H, W, 3)`` at the nearest size that a network takes, itself where it is that.

    The network takes ``only`` one size, or all whose sides are multiples.
    """
    camera = (image.shape[0], image.shape[1])
    size = only or network_size(camera, camera, multiple)
    return image if size == camera else scaled(image, size)


def scaled(
    image: NDArray[np.uint8], size: tuple[int, int], out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Return an RGB image ``(H, W, 3)`` at another height and width, in ``out`` where it is given."""
    # Of a size that is nearly right, averaging takes four times as long and gives the same labels.
    mode = cv2.INTER_AREA if image.shape[0] > NEARLY * size[0] else cv2.INTER_LINEAR
    return cv2.resize(image, size[::-1], dst=out, interpolation=mode)  # type: ignore[return-value]


def checked_size(
    wanted: tuple[int, int] | None, multiple: int, only: tuple[int, int] | None
) -> tuple[int, int] | None:
    """Return the input size for cameras of any size, None to follow the camera; arguments as ``fitted``.

    Raises:
        VssError: The network does not take the wanted size.
    """
    if only is not None:
        if wanted is not None and wanted != only:
            right, wrong = written_size(only), written_size(wanted)
            raise VssError(
                f'size: expected {right}, the only one this network takes, got {wrong}; use {right} or auto'
            )
        return only
    if wanted is not None and any(side % multiple for side in wanted):
        height, width = (max(round(side / multiple), 1) * multiple for side in wanted)
        better, wrong = f'{height}x{width}', written_size(wanted)
        raise VssError(
            f'size: expected multiples of {multiple}, which this network takes, got {wrong}; use {better}'
        )
    return wanted


class Preprocessor:
    """Resizes and normalises camera images to one network's input, in buffers it keeps.

    Args:
        statistics: Mean and standard deviation of the model card.
        card_size: Height and width the network was trained for.
        multiple: What the backbone's strides demand.
        fixed_size: Input size for cameras of any size; None follows ``network_size``.
    """

    def __init__(
        self,
        statistics: Normalisation,
        card_size: tuple[int, int],
        multiple: int,
        device: torch.device,
        fixed_size: tuple[int, int] | None = None,
    ) -> None:
        self._card_size, self._multiple, self._fixed_size = card_size, multiple, fixed_size
        self._given = statistics, card_size, multiple, device, fixed_size
        self.statistics = statistics
        self._mean = torch.tensor(statistics.mean, device=device) * 255.0
        self._scale = 1.0 / (torch.tensor(statistics.std, device=device) * 255.0)
        self._resized = np.empty((0, 0, 3), np.uint8)
        self.pixels: NDArray[np.uint8] = self._resized
        """RGB ``(h, w, 3)`` of the last call before normalisation; valid until the next."""
        self._input = torch.empty((0, 0, 3), device=device)
        self._normalised = False
        self._cells: dict[int, NDArray[np.uint8]] = {}
        self.device = device

    def another(self) -> Preprocessor:
        """Return the same with buffers of its own."""
        return Preprocessor(*self._given)

    def size(self, camera: tuple[int, int]) -> tuple[int, int]:
        """Return the network's input size for a camera's height and width."""
        return self._fixed_size or network_size(camera, self._card_size, self._multiple)

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return RGB ``(h, w, 3)`` of an RGB image ``(H, W, 3)``, the same where it fits; see ``pixels``."""
        height, width = self.size((image.shape[0], image.shape[1]))
        if self._resized.shape[:2] != (height, width):
            # On CUDA in memory that the device reads by itself.
            pinned = self.device.type == 'cuda'
            self._resized = torch.empty((height, width, 3), dtype=torch.uint8, pin_memory=pinned).numpy()
        if image.shape[:2] != (height, width):
            image = scaled(image, (height, width), self._resized)
        elif self.device.type == 'cuda':
            np.copyto(self._resized, image)
            image = self._resized
        self.pixels, self._normalised = image, False
        self._cells.clear()
        return image

    def cells(self, stride: int) -> NDArray[np.uint8]:
        """Return the last pixels averaged over cells, ``(1, h/stride, w/stride, 3)``; see ``averaged``."""
        if stride not in self._cells:
            finer = stride % 2 == 0
            known = self.cells(stride // 2) if finer and stride > 2 else self.pixels[None]
            self._cells[stride] = averaged(known, 2 if finer else stride)
        return self._cells[stride]

    def small(self, stride: int) -> Tensor:
        """Return the last pixels averaged over cells and normalised, ``(1, 3, h/stride, w/stride)``."""
        cells = torch.from_numpy(self.cells(stride)).to(self.device)
        return ((cells.to(torch.float32) - self._mean) * self._scale).movedim(-1, 1)

    def image(self) -> Tensor:
        """Return the last call's pixels normalised, ``(1, 3, h, w)``; valid until the next call."""
        if not self._normalised:
            if self._input.shape != self.pixels.shape:
                self._input = torch.empty(self.pixels.shape, device=self.device)
            self._input.copy_(torch.from_numpy(self.pixels)).sub_(self._mean).mul_(self._scale)
            self._normalised = True
        return self._input.unsqueeze(0).movedim(-1, 1)
