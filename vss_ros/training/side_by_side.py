"""Training of modules that learn from the same triples and share nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import torch
from torch import nn

from vss_ros.training.loop import CLIP, run_epochs
from vss_ros.training.triples import Drawable, TripleBatches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import numpy as np
    from torch import Tensor

    from vss_ros.data.pairs import Triple
    from vss_ros.training.recipe import Recipe

M = TypeVar('M', bound=nn.Module)


class Loss(NamedTuple):
    """What one module is to learn from a batch."""

    name: str
    """In the curve file."""
    module: nn.Module
    value: Tensor
    weight: float = 1.0
    """Factor on the gradient, not on what is written down."""


def train_side_by_side(
    recipe: Recipe,
    modules: M,
    data: dict[str, Drawable],
    losses: Callable[[list[Triple], np.random.Generator], Iterable[Loss]],
    watch: Callable[[M], dict[str, Any]] | None,
    folder: Path,
    *,
    resume: bool,
) -> M:
    """Train all modules, each with its gradient clipped by itself, and return their averages.

    Args:
        recipe: What to do.
        modules: Holds all that is trained.
        data: Where triples come from, by the recipe's names; the first is the main one.
        losses: Of a batch, one after the other: each is learned from before the next is computed.
        watch: From the averaged modules to figures for the curve file; None where nothing is watched.
        folder: Where ``checkpoint.pt`` and ``curve.jsonl`` go.
        resume: Continue from the folder's checkpoint if there is one.

    """
    torch.manual_seed(recipe.seed)
    modules.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def step(triples: list[Triple], rng: np.random.Generator) -> dict[str, float]:
        return {loss.name: _learn(loss) for loss in losses(triples, rng)}

    groups = [{'params': list(modules.parameters()), 'lr': recipe.rate}]

    def batches(_: int, rng: np.random.Generator) -> TripleBatches:
        return TripleBatches(recipe, data, rng)

    return run_epochs(recipe, modules, groups, batches, step, watch, folder, resume=resume)


def _learn(loss: Loss) -> float:
    (loss.weight * loss.value).backward()
    nn.utils.clip_grad_norm_(loss.module.parameters(), CLIP)
    return loss.value.item()
