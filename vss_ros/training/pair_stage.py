"""Stage 2: propagation and scheduler on pairs, the backbone frozen (low-latency paper, section 4)."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from vss_ros.datasets.pairs import VideoPairs
from vss_ros.engine.layers.fuse import fuse_conv_bn
from vss_ros.engine.propagation import Propagation
from vss_ros.engine.view import look
from vss_ros.evaluation.replay.propagation import deviation_rank_correlation, propagation_distance_accuracy
from vss_ros.training.loop import Loss, train_side_by_side
from vss_ros.training.pair_batch import PairBatch, pair_batch
from vss_ros.training.pair_losses import deviation_loss, propagation_loss

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vss_ros.datasets.labelled import LabelledImages
    from vss_ros.datasets.pairs import Triple
    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.motion import MotionEstimator
    from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation
    from vss_ros.training.data_sets import Drawable
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
    backbone = deepcopy(backbone).eval().requires_grad_(False)
    # The low part takes two thirds of its time, and a third less without batch norms. Not fused with
    # activations: gradients pass through the head.
    fuse_conv_bn(backbone)
    backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def losses(triples: list[Triple], rng: np.random.Generator) -> Iterator[Loss]:
        """Yield every part's loss on a batch."""
        return _losses(backbone, parts, pair_batch(backbone, triples, motion), rng)

    def watch(average: PairParts) -> dict[str, Any]:
        """Return what the curve file says of an average."""
        assert watched is not None
        return _watch(backbone, average, watched, motion)

    watching = watch if watched is not None else None
    return train_side_by_side(recipe, parts, data, losses, watching, folder, resume=resume)


@torch.inference_mode()
def recommended_threshold(
    backbone: Backbone, scheduler: PredictedDeviation, drive: Drawable, recipe: Recipe
) -> float:
    """Return the deviation that a typical drive of the training data reaches at the wanted interval.

    The median prediction over training pairs ``TYPICAL_INTERVAL`` frames apart, fewer in shorter snippets:
    a typical drive gets a key frame about that often, a fast one more often. No evaluation data is looked at.
    """
    rng = np.random.default_rng(recipe.seed)
    apart = min(TYPICAL_INTERVAL, drive.furthest) if isinstance(drive, VideoPairs) else TYPICAL_INTERVAL
    predicted = []
    for index in rng.permutation(len(drive))[:THRESHOLD_PAIRS]:
        triple = drive.draw(int(index), (apart, apart), recipe.crop, rng)
        key, current = (look(backbone, image[None]) for image in (triple.key, triple.current))
        predicted.append(scheduler(key.low, current.low).item())
    return float(np.median(predicted))


def _losses(
    backbone: Backbone, parts: PairParts, batch: PairBatch, rng: np.random.Generator
) -> Iterator[Loss]:
    for name, moves in parts.named_propagations():
        yield Loss(name, moves, propagation_loss(name, moves, backbone, batch, rng))
    if parts.scheduler is not None:
        yield Loss('scheduler', parts.scheduler, deviation_loss(parts.scheduler, batch), DEVIATION_WEIGHT)


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
