"""The training loop: averaged weights, checkpoints, epochs, and several parts trained side by side."""

from __future__ import annotations

import json
import time
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from vss_ros.errors import VssError
from vss_ros.files import whole_file
from vss_ros.training.data_sets import Drawable, TripleBatches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from torch import Tensor

    from vss_ros.datasets.pairs import Triple
    from vss_ros.training.recipe import Recipe


M = TypeVar('M', bound=nn.Module)


class MovingAverage(Generic[M]):
    """Keeps an averaged copy of a model.

    Args:
        model: What is trained.
        decay: Weight of the past per update, reached gradually so that the start is soon forgotten.

    """

    def __init__(self, model: M, decay: float = 0.998) -> None:
        """Start from the model as it is."""
        self.model = deepcopy(model).eval()
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, model: M) -> None:
        """Move the average towards ``model``; integer buffers are copied."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for mine, theirs in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1 - decay)
            else:
                mine.copy_(theirs)


NAME = 'checkpoint.pt'
CURVE = 'curve.jsonl'


def save_checkpoint(
    folder: Path, epoch: int, model: nn.Module, average: MovingAverage[Any], optimiser: torch.optim.Optimizer
) -> None:
    """Write the state after ``epoch`` whole epochs, replacing the former checkpoint in one step."""
    state = {
        'epoch': epoch,
        'model': model.state_dict(),
        'average': average.model.state_dict(),
        'updates': average.updates,
        'optimiser': optimiser.state_dict(),
    }
    with whole_file(folder / NAME) as partial:
        torch.save(state, partial)


def load_checkpoint(
    folder: Path, model: nn.Module, average: MovingAverage[Any], optimiser: torch.optim.Optimizer
) -> int:
    """Restore the last checkpoint and return the number of epochs done, 0 where there is none.

    Raises:
        VssError: It is of another network, or other things were trained beside it.

    """
    path = folder / NAME
    if not path.is_file():
        return 0
    state = torch.load(path, map_location='cpu', weights_only=True)
    try:
        model.load_state_dict(state['model'])
        average.model.load_state_dict(state['average'])
        optimiser.load_state_dict(state['optimiser'])
    except (KeyError, RuntimeError, ValueError) as error:
        msg = (
            f'{path}: expected the checkpoint of a run with this recipe, got one of another '
            f'({str(error).splitlines()[0]}); remove it, or name another folder by --runs'
        )
        raise VssError(msg) from error
    average.updates = state['updates']
    return int(state['epoch'])


def append_point(folder: Path, point: dict[str, Any], started: float) -> None:
    """Add an epoch's figures to the curve file and show them.

    Args:
        folder: Of the run.
        point: Figures by name.
        started: ``time.time()`` at the start of the epoch; its length is added as ``minutes``.

    """
    text = json.dumps(point | {'minutes': round((time.time() - started) / 60, 2)})
    tqdm.write(text)
    with (folder / CURVE).open('a') as file:
        file.write(text + '\n')


def trained_minutes(folder: Path) -> float:
    """Return the wall time of all epochs of a run, however often it was stopped and resumed."""
    points = (json.loads(line) for line in (folder / CURVE).read_text().splitlines())
    return round(sum(float(point.get('minutes', 0.0)) for point in points), 1)


CLIP = 5.0
"""Largest norm of the gradient of one model."""

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
