"""How accuracy falls with distance, and how well a predicted deviation ranks frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from vss_ros.engine.labels import argmax_upsampled
from vss_ros.engine.motion.trail import MotionTrail
from vss_ros.engine.preprocess import IMAGENET, normalise
from vss_ros.engine.schedulers.fixed_interval import FixedInterval
from vss_ros.engine.view import look
from vss_ros.engine.whole_network import WholeNetwork
from vss_ros.evaluation.confusion import ConfusionMatrix

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from vss_ros.data.camvid import LabelledImages
    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.motion import MotionEstimator
    from vss_ros.engine.propagation import Propagation
    from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation
    from vss_ros.engine.view import View


@torch.inference_mode()
def propagation_distance_accuracy(
    backbone: Backbone,
    propagation: Propagation,
    video: LabelledImages,
    distances: Iterable[int],
    *,
    stride: int = 1,
    motion: MotionEstimator | None = None,
) -> dict[int, float]:
    """Return the PDA curve: mIoU of frames propagated from the key frame ``distance`` frames before.

    As on the robot: in one hop from the key frame, or frame by frame where the propagation goes so.

    Args:
        backbone: Trained backbone.
        propagation: Trained propagation.
        video: Consecutive labelled frames.
        distances: Propagation distances in frames; 0 stands for the whole network.
        stride: Take every ``stride``-th current frame.
        motion: Where the propagation looks at motion: the estimator.

    """
    propagation.eval()
    network = WholeNetwork(backbone, propagation, FixedInterval(backbone.low_channels))
    views = list(_views(backbone, video, motion))
    matrices = {distance: ConfusionMatrix(backbone.classes, backbone.classes) for distance in distances}
    furthest = max(matrices)
    counted = set(range(max(10, furthest), len(views), stride))  # the same frames at each distance
    for key in range(len(views)):
        reached = {d: key + d for d in matrices if key + d in counted}
        if not reached:
            continue
        high = network.compute(network.entry(views[key]))
        for distance, answer in _propagated(propagation, views[key : key + max(reached) + 1], high, reached):
            labels = video.labels[key + distance]
            size = (labels.shape[0], labels.shape[1])
            matrices[distance].add(labels, argmax_upsampled(network.logits(answer), size))
    return {distance: matrix.miou for distance, matrix in matrices.items()}


def _propagated(
    propagation: Propagation, views: list[View], high: Tensor, wanted: Container[int]
) -> Iterator[tuple[int, Tensor]]:
    """Yield distance and features for the wanted distances from the first view, a key frame."""
    if 0 in wanted:
        yield 0, high
    source = propagation.prepare(views[0])
    for distance, view in enumerate(views[1:], 1):
        if not propagation.frame_by_frame and distance not in wanted:
            continue
        current = propagation.prepare(view)
        answer = propagation.propagate(source, high, current, view)
        if propagation.frame_by_frame:
            source, high = current, answer
        if distance in wanted:
            yield distance, answer


def _views(backbone: Backbone, video: LabelledImages, motion: MotionEstimator | None) -> Iterator[View]:
    trail = MotionTrail(motion)
    for image in video.images:
        yield trail.follow(look(backbone, image[None]))


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
