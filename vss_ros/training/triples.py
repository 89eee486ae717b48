"""Batches of frame triples, drawn from several sources by the recipe's shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from vss_ros.data.pairs import Triple
    from vss_ros.training.recipe import Recipe


class Drawable(Protocol):
    """Something triples can be drawn from."""

    def __len__(self) -> int:
        """Return the number of frames triples can end in."""

    def draw(
        self, index: int, distances: tuple[int, int], crop: tuple[int, int], rng: np.random.Generator
    ) -> Triple:
        """Return a random triple for a frame."""


class TripleBatches:
    """The batches of one epoch; each is drawn, which takes its time, when the loop comes to it.

    Args:
        recipe: Batch size, images per epoch, distances, crop and the sources' shares.
        data: Sources by the recipe's names; the first is the main one.
        rng: Of the epoch.

    """

    def __init__(self, recipe: Recipe, data: dict[str, Drawable], rng: np.random.Generator) -> None:
        """Compute the shares."""
        self._recipe, self._rng = recipe, rng
        self._sources = list(data.values())
        shares = [float(recipe.data[name].get('share', 0.0)) for name in list(data)[1:]]
        self._shares = [1 - sum(shares), *shares]

    def __len__(self) -> int:
        """Return the number of batches."""
        return self._recipe.images_per_epoch // self._recipe.batch

    def __iter__(self) -> Iterator[list[Triple]]:
        """Draw the batches."""
        for _ in range(len(self)):
            yield [self._draw() for _ in range(self._recipe.batch)]

    def _draw(self) -> Triple:
        source = self._sources[self._rng.choice(len(self._sources), p=self._shares)]
        index = int(self._rng.integers(len(source)))
        return source.draw(index, self._recipe.distances, self._recipe.crop, self._rng)
