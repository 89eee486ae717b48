"""Losses of the training stages."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate, kl_div, one_hot

from vss_ros.engine.layers.blocks import resize_like


def segmentation_loss(logits: Tensor, labels: Tensor, weights: Tensor, void: int) -> Tensor:
    """Return class-weighted cross entropy plus half a soft Jaccard loss over the classes present.

    The Jaccard term is what mIoU measures, made smooth (Rahman & Wang 2016); alone it is unsteady.

    Logits are ``(N, C, H, W)`` float, labels ids ``(N, H, W)`` int64 of which ``void`` is ignored, weights
    ``(C,)``. Where all is void there is nothing to learn, and the loss is 0.
    """
    if bool((labels == void).all()):
        return (0 * logits).sum()
    entropy = cross_entropy(logits, labels, weights, ignore_index=void)
    valid = (labels != void).unsqueeze(1)
    truth = one_hot(torch.where(labels == void, 0, labels), logits.shape[1]).movedim(-1, 1) * valid
    probability = logits.softmax(1) * valid
    intersection = (probability * truth).sum((0, 2, 3))
    union = (probability + truth).sum((0, 2, 3)) - intersection
    present = truth.sum((0, 2, 3)) > 0
    jaccard = 1 - (intersection[present] / union[present].clamp_min(1)).mean()
    return entropy + 0.5 * jaccard


def every_second(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits and ids of every second row and column: as good as all to learn from, and faster.

    Logits are brought to the labels' own size first: at half of it each would lie half a pixel beside its
    label, and the network would learn that shift.

    Logits ``(N, C, h, w)`` of any size and ids ``(N, H, W)`` become ``(N, C, H / 2, W / 2)`` and
    ``(N, H / 2, W / 2)``.
    """
    full = interpolate(logits, size=labels.shape[-2:], mode='bilinear', align_corners=False)
    return full[..., ::2, ::2], labels[:, ::2, ::2]


def class_weights(counts: Tensor, power: float = 0.5, bounds: tuple[float, float] = (0.5, 3.0)) -> Tensor:
    """Return ``(median / count) ** power``, bounded: rare classes count more, but not without limit."""
    frequency = counts.double() / counts.sum()
    return ((frequency.median() / frequency.clamp_min(1e-9)) ** power).clamp(*bounds).float()


def distillation(logits: Tensor, soft: Tensor) -> Tensor:
    """Return the divergence of a network's answer from soft labels, at the resolution of these.

    Logits are ``(N, C, h, w)`` of any size, soft labels shares of one ``(N, C, h', w')``.
    """
    return kl_div(resize_like(logits, soft).log_softmax(1), soft, reduction='none').sum(1).mean()
