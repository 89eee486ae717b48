"""The training loop: averaged weights, checkpoints, the curve of figures, epochs."""

from __future__ import annotations

import json
import time
from copy import deepcopy
from io import BytesIO
from math import isfinite
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from vss_ros.errors import VssError
from vss_ros.files import write_text, write_whole
from vss_ros.training import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from vss_ros.training.recipe import Recipe

M = TypeVar('M', bound=nn.Module)
B = TypeVar('B')
NAME = 'checkpoint.pt'
CURVE = 'curve.jsonl'
CLIP = 5.0
"""Largest norm of the gradient of one model."""


class MovingAverage(Generic[M]):
    """Keeps an averaged copy of a model.

    ``decay`` is the weight of the past per update, reached gradually so that the start is soon forgotten.
    """

    def __init__(self, model: M, decay: float = 0.998) -> None:
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


def _restore(path: Path, parts: dict[str, Any], epochs: int) -> tuple[int, int]:
    """Restore the last checkpoint and return its epoch and updates, 0 each where there is none."""
    if not path.is_file():
        return 0, 0
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(dict(state)[name])
        epoch, updates = int(state['epoch']), int(state['updates'])
        if not 0 <= epoch <= epochs:
            raise ValueError(f'{epoch} of {epochs} epochs')
    except Exception as error:  # zip and PyTorch raise many kinds
        raise VssError(
            f'{path}: expected the checkpoint of a run with this recipe, got one of another or a damaged one '
            f'({next(iter(str(error).splitlines()), type(error).__name__)}); remove it, or name another '
            'folder by --runs'
        ) from error
    return epoch, updates


def append_point(folder: Path, point: dict[str, Any], started: float) -> None:
    """Add an epoch's figures to the run's curve file and show them, with the minutes since ``started``."""
    text = json.dumps(point | {'minutes': round((time.time() - started) / 60, 2)})
    tqdm.write(text)
    file = folder / CURVE
    write_text(file, (file.read_text(encoding='utf-8') if file.is_file() else '') + text + '\n')


def trained_minutes(folder: Path) -> float:
    """Return the wall time of all epochs of a run, however often it was stopped and resumed.

    Raises:
        VssError: A line of its curve file is damaged.
    """
    return round(sum(float(point.get('minutes', 0.0)) for point in _points(folder / CURVE)), 1)


def _points(curve: Path) -> list[dict[str, Any]]:
    """Return the figures of a curve file's epochs."""
    points = []
    for number, line in enumerate(curve.read_text(encoding='utf-8').splitlines(), 1):
        try:
            point = dict(json.loads(line))
            points.append(point | {'epoch': int(point['epoch']), 'minutes': float(point.get('minutes', 0.0))})
        except (ValueError, TypeError, LookupError) as error:
            raise VssError(
                f'{curve}:{number} expected the figures of an epoch as JSON, got {line[:60]!r}; '
                'remove this line, then go on with --resume'
            ) from error
    return points


def _forget_after(curve: Path, done: int) -> None:
    """Leave out of a curve file the epochs after the checkpoint, which are trained again."""
    points = _points(curve) if curve.is_file() else []
    kept = [json.dumps(point) for point in points if point['epoch'] <= done]
    if len(kept) < len(points):
        write_text(curve, ''.join(f'{line}\n' for line in kept))


def run_epochs(
    recipe: Recipe,
    model: M,
    groups: list[dict[str, Any]],
    batches: Callable[[int, np.random.Generator], Sequence[B]],
    step: Callable[[B, np.random.Generator], dict[str, float]],
    watch: Callable[[M], dict[str, Any]],
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
        watch: From the averaged model to figures for the curve file.
        folder: Where ``checkpoint.pt`` and ``curve.jsonl`` go.
        resume: Continue from the folder's checkpoint if there is one.

    Raises:
        VssError: The folder holds another run's checkpoint, or the training diverged.
    """
    if not resume:
        _refuse_earlier(folder)
    average = MovingAverage(model, recipe.ema_decay)
    optimiser = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
    peaks = [group['lr'] for group in optimiser.param_groups]
    parts: dict[str, Any] = {'model': model, 'average': average.model, 'optimiser': optimiser}
    done = 0
    if resume:
        done, average.updates = _restore(folder / NAME, parts, recipe.epochs)
    _forget_after(folder / CURVE, done)
    for epoch in range(done, recipe.epochs):
        started = time.time()
        losses = _train_epoch(recipe, model, optimiser, peaks, average, epoch, batches, step)
        point: dict[str, Any] = {'epoch': epoch + 1}
        point |= {name: float(np.mean([loss[name] for loss in losses])) for name in losses[0]}
        if processes.number() == 0:
            if (epoch + 1) % recipe.evaluate_every == 0:
                point |= watch(average.model)
            append_point(folder, point, started)
            _save(folder / NAME, parts, {'epoch': epoch + 1, 'updates': average.updates})
        processes.wait_for_all()
    return average.model


def _refuse_earlier(folder: Path) -> None:
    if (folder / NAME).exists():
        raise VssError(
            f'{folder / NAME} is that of an earlier run; add --resume to go on with it, remove {folder} to '
            'begin anew, or name another folder by --runs'
        )


def _train_epoch(
    recipe: Recipe,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    peaks: list[float],
    average: MovingAverage[Any],
    epoch: int,
    batches: Callable[[int, np.random.Generator], Sequence[B]],
    step: Callable[[B, np.random.Generator], dict[str, float]],
) -> list[dict[str, float]]:
    """Go through an epoch's batches; return the losses of each."""
    rng = np.random.default_rng((recipe.seed, epoch))
    torch.manual_seed(recipe.seed + (epoch << 32))  # what dropout draws
    model.train()
    chosen = batches(epoch, rng)
    rng = processes.own_generator(rng)
    losses = []
    title = f'epoch {epoch + 1}/{recipe.epochs}'
    shown = tqdm(chosen, title, mininterval=5, disable=processes.number() > 0)
    for number, batch in enumerate(shown):
        _set_rates(optimiser, peaks, (epoch + number / len(chosen)) / recipe.epochs)
        optimiser.zero_grad(set_to_none=True)
        losses.append(_finite(step(batch, rng), epoch))
        optimiser.step()
        average.update(model)
    return losses


def _finite(losses: dict[str, float], epoch: int) -> dict[str, float]:
    """Return the losses of a batch.

    Raises:
        VssError: The training has diverged; what the checkpoint holds has not.
    """
    if not all(map(isfinite, losses.values())):
        raise VssError(
            f'expected finite losses, got {losses} in epoch {epoch + 1}; lower the rate, and go on from the '
            'last checkpoint with --resume, or begin anew'
        )
    return losses


def _save(path: Path, parts: dict[str, Any], counts: dict[str, int]) -> None:
    """Write the states of all parts and the counts, whole or not at all."""
    for name, tensor in parts['average'].state_dict().items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise VssError(f'expected finite weights, got NaN or infinity in {name}; lower the rate')
    file = BytesIO()
    torch.save({name: part.state_dict() for name, part in parts.items()} | counts, file)
    write_whole(path, file.getvalue())


def _set_rates(optimiser: torch.optim.Optimizer, peaks: list[float], progress: float) -> None:
    """Warm up over the first 3 % of training, then decay polynomially."""
    factor = min(progress / 0.03, 1.0) * (1 - progress) ** 0.9
    for group, peak in zip(optimiser.param_groups, peaks, strict=True):
        group['lr'] = peak * max(factor, 1e-3)
