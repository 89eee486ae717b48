"""Stage 1: the whole network on labelled stills."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import kl_div

from vss_ros.datasets.augment import ViewRange
from vss_ros.engine.backbones import BACKBONES, Backbone
from vss_ros.engine.layers.blocks import resize_like
from vss_ros.evaluation.card_scores import per_frame_confusion
from vss_ros.training.computing import ON_CPU, Computing
from vss_ros.training.loop import CLIP, run_epochs
from vss_ros.training.losses import class_weights, every_second, segmentation_loss
from vss_ros.training.start import start_with, take_back
from vss_ros.training.still_batches import Choice, StillViews, choices
from vss_ros.training.teacher import Hints

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from vss_ros.datasets.labelled import LabelledImages
    from vss_ros.engine.model_card import ModelCard
    from vss_ros.images.classes import ClassTable
    from vss_ros.training.recipe import Recipe
    from vss_ros.training.teacher import Teacher

DISTILLATION = 1.0
"""Weight of the teacher's soft labels beside the true ones."""
COUNTED = 500
"""Images that are enough to weigh the classes by."""


def train_backbone(
    recipe: Recipe,
    table: ClassTable,
    data: dict[str, LabelledImages],
    watched: LabelledImages | None,
    folder: Path,
    *,
    resume: bool,
    teacher: Teacher | None = None,
    start: ModelCard | None = None,
    compiled: bool = False,
    computing: Computing = ON_CPU,
) -> Backbone:
    """Train and return the averaged network in evaluation mode.

    Args:
        recipe: What to do.
        table: The classes; void is their number in all labels.
        data: Training images by the recipe's names.
        watched: Sequence whose mIoU is written to the curve file now and then, or None.
        folder: Where ``checkpoint.pt`` and ``curve.jsonl`` go.
        resume: Continue from the folder's checkpoint if there is one.
        teacher: Whose soft labels are learned beside the true ones, or None.
        start: Whose weights training begins with, or None.
        compiled: Fuse the network's operations first: a minute at the start, a tenth to a fifth less after.
        computing: On which device, and how there.

    """
    device = computing.device
    weights = class_weights(_counts(next(iter(data.values())), len(table))).to(device)
    answer = _Answer(_untrained(recipe, len(table), device), weights, recipe.logit_adjustment)
    model = _new_network(recipe, table, device, start, weights)
    hints = Hints(model, teacher.network) if teacher is not None and recipe.hints else None
    pupil = _Pupil(model, hints).to(device)
    network = torch.compile(model) if compiled else model
    objective = _Objective(network, teacher, weights, len(table), computing, pupil.hints, recipe.hints)
    view_range = ViewRange(recipe.scales, recipe.light)
    views = StillViews(data, recipe.crop, len(table), device, view_range, recipe.mixed)

    def step(chosen: list[Choice], rng: np.random.Generator) -> dict[str, float]:
        """Compute the gradients of one batch; return its losses."""
        losses = objective.losses(*views.batch(chosen, rng))
        losses['loss'].backward()
        torch.nn.utils.clip_grad_norm_(pupil.parameters(), CLIP)
        return {name: loss.item() for name, loss in losses.items()}

    batches = partial(_batches, recipe, data)
    watch = None if watched is None else partial(answer.figures, watched)
    average = run_epochs(recipe, pupil, _groups(pupil, recipe), batches, step, watch, folder, resume=resume)
    return answer.of(average)


class _Pupil(nn.Module):
    """The network with what is trained beside it and thrown away."""

    def __init__(self, network: Backbone, hints: Hints | None) -> None:
        super().__init__()
        self.network = network
        self.hints = hints


class _Answer:
    """What is shipped of an average: a network of its own, which no hooks are in, as it is to answer."""

    def __init__(self, network: Backbone, weights: Tensor, share: float) -> None:
        take_back(network, weights, share)  # tells an hour before it is needed if it cannot
        self._network, self._weights, self._share = network.eval(), weights, share

    def of(self, average: _Pupil) -> Backbone:
        """Return the network with an average's weights, the class weights taken back."""
        self._network.load_state_dict(average.network.state_dict())
        take_back(self._network, self._weights, self._share)
        return self._network

    def figures(self, watched: LabelledImages, average: _Pupil) -> dict[str, Any]:
        """Return what the curve file says of an average."""
        return {'miou': per_frame_confusion(self.of(average), watched).miou}


@dataclass(frozen=True, slots=True)
class _Objective:
    """What the network is to learn."""

    network: Callable[[Tensor], Tensor]
    teacher: Teacher | None
    weights: Tensor
    """Of the classes, ``(C,)``."""
    void: int
    computing: Computing
    hints: Hints | None
    hinted: float
    """Weight of the hints."""

    def losses(self, image: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return the losses on images ``(N, 3, H, W)`` with ids ``(N, H, W)``.

        ``loss`` is the sum of all, ``hints`` the part of the teacher's features where these are learned.
        """
        with self.computing.forward():
            answer = self.network(image)
        logits = answer.float()
        loss = segmentation_loss(*every_second(logits, labels), self.weights, self.void)
        if self.teacher is None:
            return {'loss': loss}
        soft = self.teacher.soft_labels(image, self.weights)
        # At the teacher's resolution.
        likeness = kl_div(resize_like(logits, soft).log_softmax(1), soft, reduction='none').sum(1).mean()
        loss = loss + DISTILLATION * likeness
        if self.hints is None:
            return {'loss': loss}
        hints = self.hinted * self.hints()
        return {'loss': loss + hints, 'hints': hints}


def _new_network(
    recipe: Recipe, table: ClassTable, device: torch.device, start: ModelCard | None, weights: Tensor
) -> Backbone:
    """Return the recipe's network before training, the same for the same seed."""
    torch.manual_seed(recipe.seed)
    model = _untrained(recipe, len(table), device)
    if start is not None:
        start_with(model, start, table.names, weights)
    else:
        model.load_pretrained_encoder()
    return model


def _untrained(recipe: Recipe, classes: int, device: torch.device) -> Backbone:
    model = BACKBONES.get(recipe.backbone)(classes)
    return model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _batches(
    recipe: Recipe, data: dict[str, LabelledImages], epoch: int, rng: np.random.Generator
) -> list[list[Choice]]:
    """Choose what an epoch shows."""
    return list(choices(recipe, data, epoch, rng))


def _groups(pupil: _Pupil, recipe: Recipe) -> list[dict[str, Any]]:
    """Split parameters into the pretrained encoder and the rest."""
    pretrained = ('network.stem', 'network.stages')
    encoder = [p for n, p in pupil.named_parameters() if n.startswith(pretrained)]
    rest = [p for n, p in pupil.named_parameters() if not n.startswith(pretrained)]
    return [{'params': encoder, 'lr': recipe.encoder_rate}, {'params': rest, 'lr': recipe.rate}]


def _counts(images: LabelledImages, classes: int) -> Tensor:
    """Return pixels per class, of evenly spread images where there are many."""
    spread = range(0, len(images), -(-len(images) // COUNTED))
    counts = sum(np.bincount(images.labels[i].ravel(), minlength=256)[:classes] for i in spread)
    return torch.from_numpy(np.asarray(counts))
