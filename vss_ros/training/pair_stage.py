"""Stage 2: propagation and scheduler on pairs, the backbone frozen (low-latency paper, section 4).

What a method adds to the loss of all is its own ``training_loss``.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import kl_div

from vss_ros.datasets.pairs import VideoPairs
from vss_ros.engine.device import device_of
from vss_ros.engine.layers.blocks import resize_like
from vss_ros.engine.layers.fuse import fuse_conv_bn
from vss_ros.engine.pair_batch import Hop, PairBatch
from vss_ros.engine.propagation import Propagation
from vss_ros.engine.propagation.base import Space
from vss_ros.engine.view import look
from vss_ros.evaluation.replay.propagation import deviation_rank_correlation, propagation_distance_accuracy
from vss_ros.training.computing import answering
from vss_ros.training.loop import Loss, train_side_by_side
from vss_ros.training.losses import every_second, segmentation_loss

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from vss_ros.datasets.labelled import LabelledImages
    from vss_ros.datasets.pairs import Triple
    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.motion import MotionEstimator
    from vss_ros.engine.schedulers import Scheduler
    from vss_ros.training.data_sets import Drawable
    from vss_ros.training.recipe import Recipe

SCHEDULER_WEIGHT = 20.0
"""Factor on the gradient of a scheduler's loss, which is small beside a propagation's."""
DISTILLATION = 0.5
"""Weight of the whole network's soft labels beside the true ones."""
DIRECT = 0.75
"""Share of batches whose source is the key frame; in the others it is itself propagated (fast track)."""
DIRECT_FRAME_BY_FRAME = 0.3
"""Share of batches in which frame-by-frame propagation goes in one hop, as after a late slow-track result."""
TYPICAL_INTERVAL = 5
"""Frames at 15 Hz after which a typical drive should get a key frame: the paper's fixed schedule."""
THRESHOLD_PAIRS = 100


class PairParts(nn.Module):
    """What this stage trains: modules that see the same pairs and share nothing else.

    Args:
        propagations: By registered name.
        scheduler: None where there is none to train.

    """

    def __init__(self, propagations: dict[str, Propagation], scheduler: Scheduler | None) -> None:
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
        motion: Estimates the motion that propagations use, None where none does.

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


@torch.no_grad()
def pair_batch(backbone: Backbone, triples: list[Triple], motion: MotionEstimator | None) -> PairBatch:
    """Run the backbone on all frames of the triples.

    Args:
        backbone: Frozen.
        triples: Frames of one size.
        motion: Estimates the motion between them, None where no part uses motion.

    """
    frames = zip(*((t.key, t.between, t.current) for t in triples), strict=True)
    with answering(device_of(backbone)):
        seen = [look(backbone, np.stack(images)) for images in frames]
        highs = [backbone.high(view.low) for view in seen]
        logits = [backbone.head(high).float() for high in highs]
    key, between, current = (view.replace(low=view.low.float()) for view in seen)
    key_high, between_high, high = (features.float() for features in highs)
    if motion is not None:
        between = between.replace(motion=motion(key, between))
        current = current.replace(motion=motion(between, current))
    return PairBatch(
        key,
        between,
        current,
        torch.from_numpy(np.stack([t.labels for t in triples])).to(high.device).long(),
        key_high,
        between_high,
        high,
        *logits,
    )


def propagation_loss(
    moves: Propagation, backbone: Backbone, batch: PairBatch, rng: np.random.Generator
) -> Tensor:
    """Return the loss of one propagation on one batch: labels, the whole network's answer, its own loss.

    Args:
        moves: In training mode.
        backbone: Frozen; its head turns features into logits.
        batch: The frames.
        rng: Decides whether the source is the key frame or a frame propagated from it.

    """
    direct = DIRECT_FRAME_BY_FRAME if moves.frame_by_frame else DIRECT
    hop = _hop(moves, batch, direct=rng.random() < direct)
    answer, own_loss = moves.training_loss(hop)
    logits = answer if moves.space is Space.SEGMENTATION else backbone.head(answer)
    weights = logits.new_ones(logits.shape[1])
    loss = segmentation_loss(*every_second(logits, batch.labels), weights, batch.void)
    soft = batch.teacher.softmax(1)
    likeness = kl_div(resize_like(logits, soft).log_softmax(1), soft, reduction='none').sum(1).mean()
    return loss + DISTILLATION * likeness + own_loss


def _hop(moves: Propagation, batch: PairBatch, *, direct: bool) -> Hop:
    """Choose the source, and the current view with the motion that leads there."""
    key, between, current = batch.key, batch.between, batch.current
    start = batch.key_logits if moves.space is Space.SEGMENTATION else batch.key_high
    if direct:
        if moves.motion:
            current = current.replace(motion=current.motion.compose(between.motion))
        return Hop(key, start, current, batch)
    with torch.no_grad():
        return Hop(between, moves(key, start, between), current, batch)


@torch.inference_mode()
def recommended_threshold(backbone: Backbone, scheduler: Scheduler, drive: Drawable, recipe: Recipe) -> float:
    """Return the score that a typical drive of the training data reaches at the wanted interval.

    The median prediction over training pairs ``TYPICAL_INTERVAL`` frames apart, fewer in shorter snippets:
    a typical drive gets a key frame about that often, a fast one more often. No evaluation data is used.
    """
    rng = np.random.default_rng(recipe.seed)
    apart = min(TYPICAL_INTERVAL, drive.furthest) if isinstance(drive, VideoPairs) else TYPICAL_INTERVAL
    predicted = []
    for index in rng.permutation(len(drive))[:THRESHOLD_PAIRS]:
        triple = drive.draw(int(index), (apart, apart), recipe.crop, rng)
        key, current = (look(backbone, image[None]) for image in (triple.key, triple.current))
        predicted.append(scheduler.score(scheduler.prepare(key), scheduler.prepare(current), current))
    return float(np.median(predicted))


def _losses(
    backbone: Backbone, parts: PairParts, batch: PairBatch, rng: np.random.Generator
) -> Iterator[Loss]:
    for name, moves in parts.named_propagations():
        yield Loss(name, moves, propagation_loss(moves, backbone, batch, rng))
    if parts.scheduler is not None:
        yield Loss('scheduler', parts.scheduler, parts.scheduler.training_loss(batch), SCHEDULER_WEIGHT)


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
