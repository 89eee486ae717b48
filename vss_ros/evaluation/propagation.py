"""How accuracy falls with distance, and how well a predicted deviation ranks frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from vss_ros.engine.labels import argmax_upsampled
from vss_ros.engine.preprocess import IMAGENET, normalise
from vss_ros.evaluation.confusion import ConfusionMatrix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from torch import Tensor

    from vss_ros.data.camvid import LabelledImages
    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.propagation import Propagation
    from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation


@torch.inference_mode()
def propagation_distance_accuracy(
    backbone: Backbone,
    propagation: Propagation,
    video: LabelledImages,
    distances: Iterable[int],
    *,
    stride: int = 1,
) -> dict[int, float]:
    """Return the PDA curve: mIoU of frames propagated in one hop from ``distance`` frames before.

    Args:
        backbone: Trained backbone.
        propagation: Trained propagation.
        video: Consecutive labelled frames.
        distances: Propagation distances in frames; 0 stands for the whole network.
        stride: Take every ``stride``-th current frame.

    """
    propagation.eval()
    lows = [_low(backbone, image) for image in video.images]
    curve = {}
    for distance in distances:
        matrix = ConfusionMatrix(backbone.classes, backbone.classes)
        for current in range(max(10, distance), len(lows), stride):
            high = backbone.high(lows[current - distance])
            if distance:
                high = propagation(lows[current - distance], high, lows[current])
            labels = video.labels[current]
            matrix.add(labels, argmax_upsampled(backbone.head(high), (labels.shape[0], labels.shape[1])))
        curve[distance] = matrix.miou
    return curve


@torch.inference_mode()
def deviation_rank_correlation(
    backbone: Backbone,
    scheduler: PredictedDeviation,
    video: LabelledImages,
    distances: Iterable[int],
    *,
    stride: int = 1,
) -> float:
    """Return Spearman's rank correlation of predicted and true deviation over frame pairs of a video."""
    scheduler.eval()
    lows = [_low(backbone, image) for image in video.images]
    labels = [backbone.head(backbone.high(low)).argmax(1) for low in lows]
    predicted, true = [], []
    for distance in distances:
        for current in range(distance, len(lows), stride):
            key = current - distance
            predicted.append(float(scheduler(lows[key], lows[current])))
            true.append(float((labels[key] != labels[current]).float().mean()))
    ranks = [np.argsort(np.argsort(values)).astype(float) for values in (predicted, true)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _low(backbone: Backbone, image: NDArray[np.uint8]) -> Tensor:
    return backbone.low(normalise(torch.from_numpy(image).unsqueeze(0), IMAGENET))
