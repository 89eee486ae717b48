"""Batches of random views of labelled stills, drawn from several data sets by the recipe's shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from vss_ros.data.augment import USUAL, random_view
from vss_ros.data.labelled import read_together
from vss_ros.engine.preprocess import IMAGENET, normalise
from vss_ros.training.class_mix import class_mix
from vss_ros.training.device_views import HeldImages, can_be_held

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from torch import Tensor

    from vss_ros.data.augment import ViewRange
    from vss_ros.data.labelled import LabelledImages, Pixels
    from vss_ros.training.computing import Computing
    from vss_ros.training.recipe import Recipe


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
