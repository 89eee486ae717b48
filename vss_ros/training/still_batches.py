"""Batches of augmented stills for the backbone stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.nn.functional import conv2d, grid_sample, pad

from vss_ros.datasets.augment import USUAL, draw_framing, random_view
from vss_ros.datasets.labelled import read_together
from vss_ros.engine.preprocess import IMAGENET, normalise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from vss_ros.datasets.augment import Framing, Light, ViewRange
    from vss_ros.datasets.labelled import LabelledImages, Pixels
    from vss_ros.training.computing import Computing
    from vss_ros.training.recipe import Recipe


def class_mix(
    images: Tensor, labels: Tensor, share: float, rng: np.random.Generator, void: int
) -> tuple[Tensor, Tensor]:
    """Paste half of the classes of one view onto another (ClassMix, Olsson et al. 2021, section 3.1).

    Args:
        images: ``(N, 3, H, W)``.
        labels: Ids ``(N, H, W)``.
        share: Of the views onto which something is pasted, 0 to 1.
        rng: Source of randomness.
        void: Id of pixels outside the image, which are never pasted.

    Returns:
        Images and labels of the same shapes; the given ones are left as they are.

    """
    if not share:
        return images, labels
    count = len(labels)
    pasted = torch.zeros_like(labels, dtype=torch.bool)
    # From the next view of the batch: batches are shuffled.
    other_images, other_labels = images.roll(-1, 0), labels.roll(-1, 0)
    for view in range(count):
        present = [i for i in torch.unique(other_labels[view]).cpu().tolist() if i != void]
        if count > 1 and rng.random() < share and present:
            chosen = rng.choice(present, len(present) // 2 or 1, replace=False)
            wanted = torch.from_numpy(chosen).to(labels)
            pasted[view] = torch.isin(other_labels[view], wanted)
    mixed = torch.where(pasted[:, None], other_images, images)
    return mixed, torch.where(pasted, other_labels, labels)


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


class Choice(NamedTuple):
    """One training image."""

    data: str
    """Name of its data set."""
    position: int


def choices(
    recipe: Recipe, data: dict[str, LabelledImages], epoch: int, rng: np.random.Generator
) -> Iterator[list[Choice]]:
    """Yield an epoch's batches; data sets but the first have a share and a first epoch.

    Args:
        recipe: Batch size, images per epoch, and the options of its data sets.
        data: Images by the recipe's names; the first is the main one.
        epoch: Counted from 0.
        rng: Of the epoch.

    """
    main, *others = data
    shares = {
        name: float(recipe.data[name].get('share', 0.0))
        if epoch >= int(recipe.data[name].get('from_epoch', 0))
        else 0.0
        for name in others
    }
    per_epoch = recipe.images_per_epoch or len(data[main])
    chosen: list[tuple[str, int]] = []
    for name in data:
        wanted = per_epoch if name == main else round(shares[name] / (1 - sum(shares.values())) * per_epoch)
        while wanted > 0:
            order = rng.permutation(len(data[name]))[:wanted]
            chosen += [(name, int(i)) for i in order]
            wanted -= len(order)
    rng.shuffle(chosen)
    for start in range(0, len(chosen) - recipe.batch + 1, recipe.batch):
        yield [Choice(name, i) for name, i in chosen[start : start + recipe.batch]]


class StillViews:
    """Makes batches of random views on the device that computes.

    Args:
        data: Images by name.
        crop: Height and width of the views.
        void: Id of pixels outside the image.
        computing: The device, and whether what fits is held there; other views are made on the CPU.
        view_range: How far views stray from their stills.
        mixed: Share of the views onto which parts of another are pasted.

    """

    def __init__(
        self,
        data: dict[str, LabelledImages],
        crop: tuple[int, int],
        void: int,
        computing: Computing,
        view_range: ViewRange = USUAL,
        mixed: float = 0.0,
    ) -> None:
        """Bring to the device what is held there."""
        self._view_range, self._mixed = view_range, mixed
        self._data, self._crop, self._void, self._device = data, crop, void, computing.device
        held = {name: images for name, images in data.items() if computing.held and can_be_held(images)}
        self._held = {name: HeldImages(images, self._device) for name, images in held.items()}

    def batch(self, chosen: list[Choice], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Return normalised images ``(N, 3, *crop)`` float32 and ids ``(N, *crop)`` int64 on the device."""
        stills = self._read([choice for choice in chosen if choice.data not in self._held])
        views = [
            self._held[choice.data].random_view(
                choice.position, self._crop, rng, self._void, self._view_range
            )
            if choice.data in self._held
            else self._moved(random_view(*next(stills), self._crop, rng, self._void, self._view_range))
            for choice in chosen
        ]
        images, labels = (torch.stack(parts) for parts in zip(*views, strict=True))
        return class_mix(normalise(images, IMAGENET), labels.long(), self._mixed, rng, self._void)

    def _read(self, chosen: list[Choice]) -> Iterator[tuple[Pixels, Pixels]]:
        """Return images and labels of stills that are not held, read together."""
        sources = [(self._data[name], i) for name, i in chosen]
        pixels = read_together([(d.images, i) for d, i in sources] + [(d.labels, i) for d, i in sources])
        return zip(pixels[: len(chosen)], pixels[len(chosen) :], strict=True)

    def _moved(self, view: tuple[Pixels, Pixels]) -> tuple[Tensor, Tensor]:
        image, labels = (torch.from_numpy(pixels).to(self._device) for pixels in view)
        return image, labels
