"""Stage 2: propagation and scheduler on pairs, the backbone frozen (low-latency paper, section 4)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import nn
from torch.nn.functional import interpolate, kl_div, smooth_l1_loss
from tqdm import tqdm

from vss_ros.engine.preprocess import IMAGENET, normalise
from vss_ros.engine.view import look
from vss_ros.evaluation.propagation import deviation_rank_correlation, propagation_distance_accuracy
from vss_ros.training.checkpoint import append_point, load_checkpoint, save_checkpoint
from vss_ros.training.ema import MovingAverage
from vss_ros.training.losses import segmentation_loss

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from vss_ros.data.camvid import LabelledImages
    from vss_ros.data.pairs import Triple
    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.propagation import Propagation
    from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation
    from vss_ros.training.recipe import Recipe

VOID = 11
CHAINED = 0.25
"""Share of batches in which the key features are themselves propagated, as the fast track caches them."""
DISTILLATION = 0.5
"""Weight of the per-frame network's soft labels beside the true ones."""
DEVIATION_WEIGHT = 20.0
TYPICAL_INTERVAL = 5
"""Frames at 15 Hz after which a typical drive should get a key frame: the paper's fixed schedule."""
THRESHOLD_PAIRS = 100


class Drawable(Protocol):
    """Something triples can be drawn from."""

    def __len__(self) -> int:
        """Return the number of frames triples can end in."""

    def draw(
        self, index: int, distances: tuple[int, int], crop: tuple[int, int], rng: np.random.Generator
    ) -> Triple:
        """Return a random triple for a frame."""


class PairParts(nn.Module):
    """What this stage trains: two modules that look at the same pairs."""

    def __init__(self, propagation: Propagation, scheduler: PredictedDeviation) -> None:
        """Hold both."""
        super().__init__()
        self.propagation = propagation
        self.scheduler = scheduler


def train_pairs(
    recipe: Recipe,
    backbone: Backbone,
    parts: PairParts,
    data: dict[str, Drawable],
    watched: LabelledImages | None,
    folder: Path,
    *,
    resume: bool,
) -> PairParts:
    """Train propagation and scheduler together and return their averages in evaluation mode.

    Args:
        recipe: What to do.
        backbone: The trained backbone; it is not changed.
        parts: Freshly built modules.
        data: Where triples come from, by the recipe's names; the first is the main one.
        watched: Labelled consecutive frames whose figures go to the curve file, or None.
        folder: Where ``checkpoint.pt`` and ``curve.jsonl`` go.
        resume: Continue from the folder's checkpoint if there is one.

    """
    torch.manual_seed(recipe.seed)
    backbone.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    parts.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = MovingAverage(parts, recipe.ema_decay)
    optimiser = torch.optim.AdamW(parts.parameters(), recipe.rate, weight_decay=recipe.weight_decay)
    start = load_checkpoint(folder, parts, average, optimiser) if resume else 0
    steps = recipe.images_per_epoch // recipe.batch
    for epoch in range(start, recipe.epochs):
        rng = np.random.default_rng((recipe.seed, epoch))
        parts.train()
        losses = []
        started = time.time()
        for step in tqdm(range(steps), desc=f'epoch {epoch + 1}/{recipe.epochs}', mininterval=5):
            progress = (epoch + step / steps) / recipe.epochs
            optimiser.param_groups[0]['lr'] = recipe.rate * max(
                min(progress / 0.03, 1.0) * (1 - progress) ** 0.9, 1e-3
            )
            loss, deviation_loss = _losses(backbone, parts, _triples(recipe, data, rng), rng)
            optimiser.zero_grad(set_to_none=True)
            (loss + DEVIATION_WEIGHT * deviation_loss).backward()
            torch.nn.utils.clip_grad_norm_(parts.parameters(), 5.0)
            optimiser.step()
            average.update(parts)
            losses.append((loss.item(), deviation_loss.item()))
        point: dict[str, Any] = {'epoch': epoch + 1} | dict(
            zip(('loss', 'deviation_loss'), np.mean(losses, 0).tolist(), strict=True)
        )
        if watched is not None and (epoch + 1) % recipe.evaluate_every == 0:
            point['pda'] = propagation_distance_accuracy(
                backbone, average.model.propagation, watched, (3, 5), stride=3
            )
            point['rank'] = deviation_rank_correlation(
                backbone, average.model.scheduler, watched, range(2, 11), stride=5
            )
        append_point(folder, point, started)
        save_checkpoint(folder, epoch + 1, parts, average, optimiser)
    return average.model


@torch.inference_mode()
def recommended_threshold(
    backbone: Backbone, scheduler: PredictedDeviation, stills: Drawable, recipe: Recipe
) -> float:
    """Return the deviation that a typical drive of the training data reaches at the wanted interval.

    The median prediction over training pairs ``TYPICAL_INTERVAL`` frames apart, so that a typical drive gets
    a key frame about that often, a fast one more often. No evaluation data is looked at.
    """
    rng = np.random.default_rng(recipe.seed)
    predicted = []
    for index in rng.permutation(len(stills))[:THRESHOLD_PAIRS]:
        triple = stills.draw(int(index), (TYPICAL_INTERVAL, TYPICAL_INTERVAL), recipe.crop, rng)
        predicted.append(
            scheduler(backbone.low(_input([triple.key])), backbone.low(_input([triple.current]))).item()
        )
    return float(np.median(predicted))


def _triples(recipe: Recipe, data: dict[str, Drawable], rng: np.random.Generator) -> list[Triple]:
    names = list(data)
    shares = [float(recipe.data[name].get('share', 0.0)) for name in names[1:]]
    chosen = rng.choice(len(names), recipe.batch, p=[1 - sum(shares), *shares])
    sources = [data[names[i]] for i in chosen]
    return [
        source.draw(int(rng.integers(len(source))), recipe.distances, recipe.crop, rng) for source in sources
    ]


def _input(images: list[np.ndarray[Any, np.dtype[np.uint8]]]) -> Tensor:
    return normalise(torch.from_numpy(np.stack(images)), IMAGENET)


def _losses(
    backbone: Backbone, parts: PairParts, triples: list[Triple], rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Return the propagation's loss and the scheduler's on one batch."""
    chained = rng.random() < CHAINED
    with torch.no_grad():
        key = look(backbone, np.stack([t.key for t in triples]))
        view = look(backbone, np.stack([t.current for t in triples]))
        key_high, high = backbone.high(key.low), backbone.high(view.low)
        key_logits, teacher = backbone.head(key_high), backbone.head(high)
        deviation = (key_logits.argmax(1) != teacher.argmax(1)).float().mean((1, 2))
        source, source_high = key, key_high
        if chained:
            source = look(backbone, np.stack([t.between for t in triples]))
            source_high = parts.propagation(key, key_high, source)
    logits = backbone.head(parts.propagation(source, source_high, view))
    labels = torch.from_numpy(np.stack([t.labels for t in triples])).long()
    full = interpolate(logits, scale_factor=backbone.logits_stride // 2, mode='bilinear', align_corners=False)
    weights = torch.ones(logits.shape[1])
    loss = segmentation_loss(full, labels[:, ::2, ::2], weights, VOID)
    loss = (
        loss
        + DISTILLATION * kl_div(logits.log_softmax(1), teacher.softmax(1), reduction='none').sum(1).mean()
    )
    # Relative errors count: a deviation of 2 % taken for 4 % delays or wastes as much as 10 % taken for 20 %.
    predicted = parts.scheduler(key.low, view.low)
    return loss, smooth_l1_loss(predicted.sqrt(), deviation.sqrt(), beta=0.05)
