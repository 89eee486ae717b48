"""Stages 2 and 3, on frames three at a time: propagations and scheduler, and learned motion estimators.

Stage 2 keeps the backbone frozen (low-latency paper, section 4); what a method adds to the loss of all is its
own ``training_loss``. All parts of a stage see the same frames and share nothing else.
"""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn.functional import avg_pool2d

from vss_ros.datasets.pairs import VideoPairs
from vss_ros.engine.device import CPU, device_of
from vss_ros.engine.layers.fuse import fuse_conv_bn
from vss_ros.engine.motion import MOTIONS, MotionEstimator, MotionField
from vss_ros.engine.pair_batch import Hop, PairBatch
from vss_ros.engine.preprocess import IMAGENET, normalise
from vss_ros.engine.propagation import Propagation
from vss_ros.engine.propagation.base import Space
from vss_ros.engine.view import View, look
from vss_ros.evaluation.replay.propagation import deviation_rank_correlation, propagation_distance_accuracy
from vss_ros.training import processes
from vss_ros.training.computing import answering
from vss_ros.training.data_sets import draw_triples
from vss_ros.training.loop import CLIP, run_epochs
from vss_ros.training.losses import distillation, every_second, segmentation_loss
from vss_ros.training.remembered import Remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from vss_ros.datasets.labelled import LabelledImages
    from vss_ros.datasets.pairs import Triple
    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.schedulers import Scheduler
    from vss_ros.training.data_sets import Drawable
    from vss_ros.training.recipe import Recipe

M = TypeVar('M', bound=nn.Module)
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
MOTION_TEACHER = 'dis'
"""Says where things moved wherever the exact flow is not known."""
PHOTOMETRIC, SMOOTH = 1.0, 0.1
"""Weights beside the endpoint error."""


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
    losses: Callable[[Callable[[], list[Triple]], np.random.Generator], Iterable[Loss]],
    watch: Callable[[M], dict[str, Any]],
    folder: Path,
    *,
    resume: bool,
) -> M:
    """Train all modules, each with its gradient clipped by itself, and return their averages.

    Triples come from ``data``, by the recipe's names, the first the main one. ``losses`` draws them where it
    needs new ones and yields a batch's losses one after the other: each is learned from before the next is
    computed. All else is as for ``run_epochs``.
    """
    torch.manual_seed(recipe.seed)
    modules.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def step(_: int, rng: np.random.Generator) -> dict[str, float]:
        found = {}
        for loss in losses(lambda: draw_triples(recipe, data, rng), rng):
            (loss.weight * loss.value).backward()
            processes.average_gradients(loss.module)
            nn.utils.clip_grad_norm_(loss.module.parameters(), CLIP)
            found[loss.name] = loss.value.item()
        return found

    groups = [{'params': list(modules.parameters()), 'lr': recipe.rate}]
    batches = range(recipe.images_per_epoch // recipe.batch)
    return run_epochs(recipe, modules, groups, lambda *_: batches, step, watch, folder, resume=resume)


class PairParts(nn.Module):
    """What this stage trains: modules that see the same pairs and share nothing else.

    Propagations come by their registered names; ``scheduler`` is None where there is none to train.
    """

    def __init__(self, propagations: dict[str, Propagation], scheduler: Scheduler | None) -> None:
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

    ``parts`` are freshly built; the backbone is not changed. Figures of ``watched``, labelled consecutive
    frames, go to the curve file. ``motion`` estimates the motion that propagations use, None where none does;
    the other arguments are those of ``train_side_by_side``.
    """
    if backbone.has_features:  # else it runs as its file has it
        backbone = deepcopy(backbone).eval().requires_grad_(False)
        # The low part takes two thirds of its time, and a third less without batch norms. Not fused with
        # activations: gradients pass through the head.
        fuse_conv_bn(backbone)
        backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    remembered = None
    if recipe.remembered and motion is not None:
        drawn = partial(
            draw_triples, recipe, data, processes.own_generator(np.random.default_rng(recipe.seed))
        )
        count = len(processes.part_of(range(recipe.remembered)))
        remembered = Remembered(lambda: pair_batch(backbone, drawn(), motion), count, motion)

    def losses(draw: Callable[[], list[Triple]], rng: np.random.Generator) -> Iterator[Loss]:
        if remembered is None:
            batch = pair_batch(backbone, draw(), motion)
        else:
            size = len(processes.part_of(range(recipe.batch)))
            batch = remembered.draw(size, rng, device_of(backbone))
        for name, moves in parts.named_propagations():
            yield Loss(name, moves, propagation_loss(moves, backbone, batch, rng))
        if parts.scheduler is not None:
            yield Loss('scheduler', parts.scheduler, parts.scheduler.training_loss(batch), SCHEDULER_WEIGHT)

    def watch(average: PairParts) -> dict[str, Any]:
        return {} if watched is None else _figures(backbone, average, watched, motion)

    return train_side_by_side(recipe, parts, data, losses, watch, folder, resume=resume)


@torch.no_grad()
def pair_batch(backbone: Backbone, triples: list[Triple], motion: MotionEstimator | None) -> PairBatch:
    """Run the frozen backbone on all frames of triples of one size.

    ``motion`` estimates the motion between them, None where no part uses motion.
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
    labels = torch.from_numpy(np.stack([t.labels for t in triples])).to(high.device).long()
    return PairBatch(key, between, current, labels, key_high, between_high, high, *logits)


def propagation_loss(
    moves: Propagation, backbone: Backbone, batch: PairBatch, rng: np.random.Generator
) -> Tensor:
    """Return the loss of one propagation on one batch: labels, the whole network's answer, its own loss.

    ``moves`` is in training mode, the backbone frozen. ``rng`` decides whether the source is the key frame or
    a frame propagated from it.
    """
    direct = DIRECT_FRAME_BY_FRAME if moves.frame_by_frame else DIRECT
    hop = _hop(moves, batch, direct=rng.random() < direct)
    answer, own_loss = moves.training_loss(hop)
    logits = answer if moves.space is Space.SEGMENTATION else backbone.head(answer)
    weights = logits.new_ones(logits.shape[1])
    loss = segmentation_loss(*every_second(logits, batch.labels), weights, batch.void)
    return loss + DISTILLATION * distillation(logits, batch.teacher.softmax(1)) + own_loss


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


def _figures(
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


def train_motion(
    recipe: Recipe,
    estimators: nn.ModuleDict,
    data: dict[str, Drawable],
    watch: Callable[[nn.ModuleDict], dict[str, Any]],
    folder: Path,
    *,
    resume: bool,
) -> nn.ModuleDict:
    """Train motion estimators and return their averages in evaluation mode.

    Stills in synthetic motion come with exact flow. Real and simulated drives do not: there, and where the
    exact flow has gaps, a searched field (DIS) is the teacher, and the image itself corrects it: the previous
    image warped along the field has to look like the current one, and neighbouring cells move alike where the
    image has no edge. GSVNet and the distortion-aware paper start from Flying Chairs instead; its motion is
    not that of a drive.

    ``estimators`` are freshly built, by registered name; the other arguments are those of
    ``train_side_by_side``.
    """
    teacher = MOTIONS.get(MOTION_TEACHER)()
    device = device_of(estimators)

    def losses(draw: Callable[[], list[Triple]], rng: np.random.Generator) -> Iterator[Loss]:
        triples = draw()
        # Near hops and, every third time, far ones; both end in the frame that exact flow starts from.
        far = rng.integers(3) == 0
        flows = [t.to_key if far else t.to_between for t in triples]
        previous = _view([t.key if far else t.between for t in triples], device)
        current = _view([t.current for t in triples], device)
        with torch.no_grad():
            target = exact_where_known(flows, teacher(previous, current))
        for name, estimator in estimators.items():
            yield Loss(name, estimator, motion_loss(estimator(previous, current), target, previous, current))

    return train_side_by_side(recipe, estimators, data, losses, watch, folder, resume=resume)


def exact_where_known(flows: Sequence[NDArray[np.float32] | None], guess: MotionField) -> MotionField:
    """Return what is to be learned: the exact flow, and the teacher's guess where there is none.

    ``flows`` are those of each pair, ``(H, W, 2)`` pixels with NaN where unknown, or None (`Triple.to_key`),
    ``guess`` is the teacher's field of all pairs.
    """
    if all(flow is None for flow in flows):
        return guess
    rough = guess.at(1)
    exact = torch.full_like(rough.flow, torch.nan)
    for pair, flow in enumerate(flows):
        if flow is not None:
            exact[pair] = torch.from_numpy(flow).to(exact.device).movedim(-1, 0)
    return MotionField(torch.where(exact.isnan(), rough.flow, exact), 1)


def motion_loss(field: MotionField, target: MotionField, previous: View, current: View) -> Tensor:
    """Return endpoint error plus photometric and smoothness terms, robust (Charbonnier) each.

    The estimated field leads from ``current`` to ``previous``; the target may have any stride.
    """
    before, now = (avg_pool2d(view.image, field.stride) for view in (previous, current))
    distance = _charbonnier((field.flow - target.at(field.stride).flow).square().sum(1))
    likeness = _charbonnier((field.warp(before) - now).square().mean(1))
    return distance.mean() + PHOTOMETRIC * likeness.mean() + SMOOTH * _gradient(field.flow, now)


def _gradient(flow: Tensor, image: Tensor) -> Tensor:
    """Return the flow's mean gradient, less where the image has an edge."""
    total = flow.new_zeros(())
    for axis in (2, 3):
        edge = image.diff(dim=axis).abs().mean(1, keepdim=True)
        total = total + (flow.diff(dim=axis).abs() * torch.exp(-4 * edge)).mean()
    return total


def _charbonnier(squared: Tensor) -> Tensor:
    return torch.sqrt(squared + 1e-4)


def _view(images: list[np.ndarray[Any, np.dtype[np.uint8]]], device: torch.device = CPU) -> View:
    pixels = np.stack(images)
    return View(pixels, normalise(torch.from_numpy(pixels).to(device), IMAGENET))
