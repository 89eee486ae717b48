"""Stage 2: propagation and scheduler on pairs, the backbone frozen (low-latency paper, section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from vss_ros.engine.preprocess import IMAGENET, normalise
from vss_ros.engine.propagation import Propagation
from vss_ros.evaluation.propagation import deviation_rank_correlation, propagation_distance_accuracy
from vss_ros.training.loop import CLIP, run_epochs
from vss_ros.training.pair_batch import PairBatch, pair_batch
from vss_ros.training.pair_losses import deviation_loss, propagation_loss
from vss_ros.training.triples import Drawable, TripleBatches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from vss_ros.data.camvid import LabelledImages
    from vss_ros.data.pairs import Triple
    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.motion import MotionEstimator
    from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation
    from vss_ros.training.recipe import Recipe

DEVIATION_WEIGHT = 20.0
TYPICAL_INTERVAL = 5
"""Frames at 15 Hz after which a typical drive should get a key frame: the paper's fixed schedule."""
THRESHOLD_PAIRS = 100


class PairParts(nn.Module):
    """What this stage trains: modules that look at the same pairs and share nothing else.

    Args:
        propagations: By registered name.
        scheduler: None where there is none to train.

    """

    def __init__(self, propagations: dict[str, Propagation], scheduler: PredictedDeviation | None) -> None:
        """Hold them."""
        super().__init__()
        self.propagations = nn.ModuleDict(propagations)
        self.scheduler = scheduler

    def named_propagations(self) -> Iterator[tuple[str, Propagation]]:
        """Iterate over the propagations with their names."""
        for name, module in self.propagations.items():
            assert isinstance(module, Propagation)
            yield name, module


def train_pairs(
    recipe: Recipe,
    backbone: Backbone,
    parts: PairParts,
    data: dict[str, Drawable],
    watched: LabelledImages | None,
    folder: Path,
    *,
    resume: bool,
    motion: MotionEstimator | None = None,
) -> PairParts:
    """Train propagations and scheduler together and return their averages in evaluation mode.

    Args:
        recipe: What to do.
        backbone: The trained backbone; it is not changed.
        parts: Freshly built modules.
        data: Where triples come from, by the recipe's names; the first is the main one.
        watched: Labelled consecutive frames whose figures go to the curve file, or None.
        folder: Where ``checkpoint.pt`` and ``curve.jsonl`` go.
        resume: Continue from the folder's checkpoint if there is one.
        motion: Estimates the motion that propagations look at, None where none does.

    """
    torch.manual_seed(recipe.seed)
    backbone.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    parts.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def step(triples: list[Triple], rng: np.random.Generator) -> dict[str, float]:
        return _backward(backbone, parts, pair_batch(backbone, triples, motion), rng)

    def watch(average: PairParts) -> dict[str, Any]:
        assert watched is not None
        return _watch(backbone, average, watched, motion)

    groups = [{'params': list(parts.parameters()), 'lr': recipe.rate}]
    return run_epochs(
        recipe,
        parts,
        groups,
        lambda _, rng: TripleBatches(recipe, data, rng),
        step,
        watch if watched is not None else None,
        folder,
        resume=resume,
    )


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


def _backward(
    backbone: Backbone, parts: PairParts, batch: PairBatch, rng: np.random.Generator
) -> dict[str, float]:
    """Accumulate every member's gradient, each clipped by itself; return the losses by name."""
    losses = {}
    for name, moves in parts.named_propagations():
        loss = propagation_loss(name, moves, backbone, batch, rng)
        loss.backward()
        nn.utils.clip_grad_norm_(moves.parameters(), CLIP)
        losses[name] = loss.item()
    if parts.scheduler is not None:
        loss = DEVIATION_WEIGHT * deviation_loss(parts.scheduler, batch)
        loss.backward()
        nn.utils.clip_grad_norm_(parts.scheduler.parameters(), CLIP)
        losses['scheduler'] = loss.item() / DEVIATION_WEIGHT
    return losses


def _watch(
    backbone: Backbone, parts: PairParts, watched: LabelledImages, motion: MotionEstimator | None
) -> dict[str, Any]:
    point: dict[str, Any] = {
        'pda': {
            name: propagation_distance_accuracy(backbone, moves, watched, (3, 5), stride=4, motion=motion)
            for name, moves in parts.named_propagations()
        }
    }
    if parts.scheduler is not None:
        point['rank'] = deviation_rank_correlation(backbone, parts.scheduler, watched, range(2, 11), stride=5)
    return point


def _input(images: list[np.ndarray[Any, np.dtype[np.uint8]]]) -> Tensor:
    return normalise(torch.from_numpy(np.stack(images)), IMAGENET)
