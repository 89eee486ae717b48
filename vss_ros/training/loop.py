"""The loop that all stages share: warm-up and decay, moving average, curve file, checkpoint per epoch."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from vss_ros.training.checkpoint import append_point, load_checkpoint, save_checkpoint
from vss_ros.training.ema import MovingAverage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from vss_ros.training.recipe import Recipe

CLIP = 5.0
"""Largest norm of the gradient of one model."""

M = TypeVar('M', bound=nn.Module)
B = TypeVar('B')
Batch_co = TypeVar('Batch_co', covariant=True)


class Batches(Protocol[Batch_co]):
    """The batches of one epoch."""

    def __len__(self) -> int:
        """Return their number."""

    def __iter__(self) -> Iterator[Batch_co]:
        """Iterate over them once."""


def run_epochs(
    recipe: Recipe,
    model: M,
    groups: list[dict[str, Any]],
    batches: Callable[[int, np.random.Generator], Batches[B]],
    step: Callable[[B, np.random.Generator], dict[str, float]],
    watch: Callable[[M], dict[str, Any]] | None,
    folder: Path,
    *,
    resume: bool,
) -> M:
    """Train and return the averaged model in evaluation mode.

    Args:
        recipe: Epochs, decay and seed; each epoch has a random generator of its own, so that a resumed run
            goes on as one that was never stopped.
        model: What is trained.
        groups: Parameter groups with their peak rates ``lr``.
        batches: From epoch and generator to what the steps of that epoch get.
        step: Computes gradients, clipped, and returns losses by name.
        watch: From the averaged model to figures for the curve file; None where nothing is watched.
        folder: Where ``checkpoint.pt`` and ``curve.jsonl`` go.
        resume: Continue from the folder's checkpoint if there is one.

    """
    average = MovingAverage(model, recipe.ema_decay)
    optimiser = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
    peaks = [group['lr'] for group in optimiser.param_groups]
    start = load_checkpoint(folder, model, average, optimiser) if resume else 0
    for epoch in range(start, recipe.epochs):
        rng = np.random.default_rng((recipe.seed, epoch))
        model.train()
        losses = []
        started = time.time()
        chosen = batches(epoch, rng)
        for number, batch in enumerate(
            tqdm(chosen, desc=f'epoch {epoch + 1}/{recipe.epochs}', mininterval=5)
        ):
            _set_rates(optimiser, peaks, (epoch + number / len(chosen)) / recipe.epochs)
            optimiser.zero_grad(set_to_none=True)
            losses.append(step(batch, rng))
            optimiser.step()
            average.update(model)
        point: dict[str, Any] = {'epoch': epoch + 1}
        point |= {name: float(np.mean([loss[name] for loss in losses])) for name in losses[0]}
        if watch is not None and (epoch + 1) % recipe.evaluate_every == 0:
            point |= watch(average.model)
        append_point(folder, point, started)
        save_checkpoint(folder, epoch + 1, model, average, optimiser)
    return average.model


def _set_rates(optimiser: torch.optim.Optimizer, peaks: list[float], progress: float) -> None:
    """Warm up over the first 3 % of training, then decay polynomially."""
    factor = min(progress / 0.03, 1.0) * (1 - progress) ** 0.9
    for group, peak in zip(optimiser.param_groups, peaks, strict=True):
        group['lr'] = peak * max(factor, 1e-3)
