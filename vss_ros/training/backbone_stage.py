"""Stage 1: the whole network on labelled stills, seen in random views."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from vss_ros.datasets.augment import ViewRange, random_view
from vss_ros.datasets.labelled import read_together
from vss_ros.engine.backbones import BACKBONES, Backbone
from vss_ros.engine.preprocess import IMAGENET, normalise
from vss_ros.errors import VssError
from vss_ros.evaluation.card_scores import per_frame_confusion
from vss_ros.training import processes
from vss_ros.training.computing import ON_CPU, Computing
from vss_ros.training.loop import CLIP, run_epochs
from vss_ros.training.losses import class_weights, distillation, every_second, segmentation_loss
from vss_ros.training.teacher import Hints, start_with, take_back

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from vss_ros.datasets.labelled import LabelledImages
    from vss_ros.engine.model_card import ModelCard
    from vss_ros.images.classes import ClassTable
    from vss_ros.training.recipe import Recipe
    from vss_ros.training.teacher import Teacher

Choice = tuple[str, int]
"""One training image: name of its data set, and its place there."""
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

    ``data`` are the training images by the recipe's names; void is the number of classes in ``table`` in all
    labels. mIoU of ``watched`` goes to ``curve.jsonl`` in ``folder``, beside ``checkpoint.pt``, from which
    ``resume`` continues if it is there. Soft labels of a ``teacher`` are learned beside the true ones, and
    training begins with the weights of ``start``. ``compiled`` fuses the network's operations first: a minute
    at the start, a tenth to a fifth less after.
    """
    device = computing.device
    weights = class_weights(_counts(next(iter(data.values())), len(table))).to(device)
    shipped = _untrained(recipe, len(table), device).eval()
    take_back(shipped, weights, recipe.logit_adjustment)  # refuses at once what it would refuse at the end
    answer = partial(_answer, shipped, weights, recipe.logit_adjustment)
    model = _new_network(recipe, table, device, start, weights)
    hints = Hints(model, teacher.network) if teacher is not None and recipe.hints else None
    # The hints' convolutions are trained beside the network and thrown away.
    pupil = nn.ModuleDict({'network': model} | ({'hints': hints} if hints is not None else {})).to(device)
    network = torch.compile(model) if compiled else model
    losses = partial(_losses, network, teacher, hints, recipe.hints, weights, computing)

    def step(chosen: list[Choice], rng: np.random.Generator) -> dict[str, float]:
        part = processes.part_of(chosen)
        found = losses(*still_batch(recipe, data, part, len(table), device, rng))
        found['loss'].backward()
        processes.average_gradients(pupil)
        torch.nn.utils.clip_grad_norm_(pupil.parameters(), CLIP)
        return {name: loss.item() for name, loss in found.items()}

    def watch(average: nn.ModuleDict) -> dict[str, Any]:
        return {} if watched is None else {'miou': per_frame_confusion(answer(average), watched).miou}

    batches = partial(choices, recipe, data)
    average = run_epochs(recipe, pupil, _groups(pupil, recipe), batches, step, watch, folder, resume=resume)
    return answer(average)


def _answer(shipped: Backbone, weights: Tensor, share: float, average: nn.ModuleDict) -> Backbone:
    """Return the network that is shipped, without hooks, with an average's weights adjusted."""
    shipped.load_state_dict(average['network'].state_dict())
    take_back(shipped, weights, share)
    return shipped


def _losses(
    network: Callable[[Tensor], Tensor],
    teacher: Teacher | None,
    hints: Hints | None,
    hinted: float,
    weights: Tensor,
    computing: Computing,
    image: Tensor,
    labels: Tensor,
) -> dict[str, Tensor]:
    """Return the losses on images ``(N, 3, H, W)`` with ids ``(N, H, W)``.

    ``loss`` is the sum of all, ``hints`` the part of the teacher's features where these are learned.
    """
    with computing.forward():
        answer = network(image)
    logits = answer.float()
    loss = segmentation_loss(*every_second(logits, labels), weights, len(weights))
    if teacher is not None:
        loss = loss + distillation(logits, teacher.soft_labels(image, weights))
    if hints is None:
        return {'loss': loss}
    distance = hinted * hints()
    return {'loss': loss + distance, 'hints': distance}


def _new_network(
    recipe: Recipe, table: ClassTable, device: torch.device, start: ModelCard | None, weights: Tensor
) -> Backbone:
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


def _groups(pupil: nn.ModuleDict, recipe: Recipe) -> list[dict[str, Any]]:
    pretrained = ('network.stem', 'network.stages')
    encoder = [p for n, p in pupil.named_parameters() if n.startswith(pretrained)]
    rest = [p for n, p in pupil.named_parameters() if not n.startswith(pretrained)]
    return [{'params': encoder, 'lr': recipe.encoder_rate}, {'params': rest, 'lr': recipe.rate}]


def _counts(images: LabelledImages, classes: int) -> Tensor:
    """Return pixels per class, of evenly spread images where there are many; refuse what is all void."""
    spread = range(0, len(images), -(-len(images) // COUNTED))
    counts = np.asarray(sum(np.bincount(images.labels[i].ravel(), minlength=256)[:classes] for i in spread))
    if not counts.any():
        raise VssError(
            f'expected labels of {classes} classes, got nothing but void; look at the label files, and at '
            'the table that the recipe names as classes'
        )
    return torch.from_numpy(counts)


def choices(
    recipe: Recipe, data: Mapping[str, LabelledImages], epoch: int, rng: np.random.Generator
) -> list[list[Choice]]:
    """Return the batches of an epoch (from 0); data sets but the first have a share and a first epoch."""
    main, *others = data
    stated = {name: recipe.data[name] for name in others}
    shares = {name: entry.share if epoch >= entry.from_epoch else 0.0 for name, entry in stated.items()}
    per_epoch = recipe.images_per_epoch or len(data[main])
    chosen: list[Choice] = []
    for name in data:
        wanted = per_epoch if name == main else round(shares[name] / (1 - sum(shares.values())) * per_epoch)
        while wanted > 0:
            order = rng.permutation(len(data[name]))[:wanted]
            chosen += [(name, int(i)) for i in order]
            wanted -= len(order)
    rng.shuffle(chosen)
    batches = (chosen[first : first + recipe.batch] for first in range(0, len(chosen), recipe.batch))
    return [batch for batch in batches if len(batch) == recipe.batch]


def still_batch(
    recipe: Recipe,
    data: Mapping[str, LabelledImages],
    chosen: Sequence[Choice],
    void: int,
    device: torch.device,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Return a batch of random views, made on the device that computes; ``void`` is outside the images.

    Returns:
        Normalised images ``(N, 3, *crop)`` float32 and ids ``(N, *crop)`` int64.
    """
    view_range = ViewRange(recipe.scales, recipe.light)
    sources = [(data[name], i) for name, i in chosen]
    read = read_together([(d.images, i) for d, i in sources] + [(d.labels, i) for d, i in sources])
    stills = [torch.from_numpy(pixels).to(device) for pixels in read]
    views = [
        random_view(image, labels, recipe.crop, rng, void, view_range)
        for image, labels in zip(stills[: len(chosen)], stills[len(chosen) :], strict=True)
    ]
    images, labels = (torch.stack(parts) for parts in zip(*views, strict=True))
    return class_mix(normalise(images, IMAGENET), labels.long(), recipe.mixed, rng, void)


def class_mix(
    images: Tensor, labels: Tensor, share: float, rng: np.random.Generator, void: int
) -> tuple[Tensor, Tensor]:
    """Paste half of the classes of one view onto another (ClassMix, Olsson et al. 2021, section 3.1).

    Given images ``(N, 3, H, W)`` and ids ``(N, H, W)`` are left as they are, the same shapes returned.
    Something is pasted onto ``share`` of the views, 0 to 1, but never pixels of the id ``void``.
    """
    if not share:
        return images, labels
    count = len(labels)
    pasted = torch.zeros_like(labels, dtype=torch.bool)
    # From the next view of the batch: batches are shuffled.
    other_images, other_labels = images.roll(-1, 0), labels.roll(-1, 0)
    for view in range(count):
        present = [i for i in torch.unique(other_labels[view]).cpu().tolist() if i != void]
        if count > 1 and rng.random() < share and present:
            chosen = torch.from_numpy(rng.choice(present, len(present) // 2 or 1, replace=False))
            pasted[view] = torch.isin(other_labels[view], chosen.to(labels))
    return torch.where(pasted[:, None], other_images, images), torch.where(pasted, other_labels, labels)
