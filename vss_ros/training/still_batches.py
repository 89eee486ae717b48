"""Batches of augmented stills for the backbone stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from vss_ros.datasets.augment import USUAL, random_view
from vss_ros.datasets.labelled import read_together
from vss_ros.engine.preprocess import IMAGENET, normalise

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from torch import Tensor

    from vss_ros.datasets.augment import ViewRange
    from vss_ros.datasets.labelled import LabelledImages
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
        name: recipe.data[name].share if epoch >= recipe.data[name].from_epoch else 0.0 for name in others
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
        device: Where the views are made.
        view_range: How far views stray from their stills.
        mixed: Share of the views onto which parts of another are pasted.

    """

    def __init__(
        self,
        data: dict[str, LabelledImages],
        crop: tuple[int, int],
        void: int,
        device: torch.device,
        view_range: ViewRange = USUAL,
        mixed: float = 0.0,
    ) -> None:
        """Read nothing yet."""
        self._data, self._crop, self._void, self._device = data, crop, void, device
        self._view_range, self._mixed = view_range, mixed

    def batch(self, chosen: list[Choice], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Return normalised images ``(N, 3, *crop)`` float32 and ids ``(N, *crop)`` int64 on the device."""
        sources = [(self._data[name], i) for name, i in chosen]
        read = read_together([(d.images, i) for d, i in sources] + [(d.labels, i) for d, i in sources])
        stills = [torch.from_numpy(pixels).to(self._device) for pixels in read]
        views = [
            random_view(image, labels, self._crop, rng, self._void, self._view_range)
            for image, labels in zip(stills[: len(chosen)], stills[len(chosen) :], strict=True)
        ]
        images, labels = (torch.stack(parts) for parts in zip(*views, strict=True))
        return class_mix(normalise(images, IMAGENET), labels.long(), self._mixed, rng, self._void)
