"""The whole network on every image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import interpolate

from vss_ros.engine.device import device_of
from vss_ros.engine.preprocess import IMAGENET, fitted, normalise
from vss_ros.evaluation.confusion import ConfusionMatrix

if TYPE_CHECKING:
    from vss_ros.data.labelled import LabelledImages
    from vss_ros.engine.backbones import Backbone


@torch.inference_mode()
def per_frame_confusion(
    model: Backbone, images: LabelledImages, size: tuple[int, int] | None = None
) -> ConfusionMatrix:
    """Return the confusion matrix of the whole network on every image, labels at full resolution.

    Args:
        model: Trained.
        images: With labels.
        size: Height and width at which the network sees them; None for their own, as near as it takes them.

    """
    model.eval()
    device = device_of(model)
    matrix = ConfusionMatrix(model.classes, model.classes)
    for image, labels in zip(images.images, images.labels, strict=True):
        pixels = torch.from_numpy(fitted(image, model.size_step, size or model.fixed_size))
        logits = model(normalise(pixels.unsqueeze(0).to(device), IMAGENET))
        logits = interpolate(logits, size=labels.shape, mode='bilinear', align_corners=False)
        matrix.add(labels, logits[0].argmax(0).to(torch.uint8).cpu().numpy())
    return matrix
