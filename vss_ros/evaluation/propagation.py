"""How accuracy falls with distance, and how well a predicted deviation ranks frames."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from vss_ros.engine.labels import argmax_upsampled
from vss_ros.engine.motion.trail import MotionTrail
from vss_ros.engine.schedulers.fixed_interval import FixedInterval
from vss_ros.engine.view import look
from vss_ros.engine.whole_network import WholeNetwork
from vss_ros.evaluation.confusion import ConfusionMatrix

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from torch import Tensor

    from vss_ros.data.camvid import LabelledImages
    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.motion import MotionEstimator
    from vss_ros.engine.motion.field import MotionField
    from vss_ros.engine.propagation import Propagation
    from vss_ros.engine.schedulers import Scheduler
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
    scheduler: Scheduler,
    video: LabelledImages,
    distances: Iterable[int],
    *,
    stride: int = 1,
    motion: MotionEstimator | None = None,
) -> float:
    """Return Spearman's rank correlation of a scheduler's score and the true deviation over frame pairs.

    Args:
        backbone: Trained backbone; the true deviation is the share of its labels that differ.
        scheduler: Trained, or one that needs no training.
        video: Consecutive frames.
        distances: Frames from key frame to current frame.
        stride: Take every ``stride``-th frame as a key frame.
        motion: Where the scheduler looks at motion: the estimator.

    """
    scheduler.eval()
    wanted = set(distances)
    views = list(_views(backbone, video, motion))
    labels = [backbone.head(backbone.high(view.low)).argmax(1) for view in views]
    prepared = [scheduler.prepare(view) for view in views]
    scores, true = [], []
    for key in range(0, len(views) - 1, stride):
        since: MotionField | None = None
        for current in range(key + 1, min(key + max(wanted) + 1, len(views))):
            field = views[current].field
            if field is not None:
                since = field if since is None else field.compose(since)
            if current - key in wanted:
                view = replace(views[current], since_key=since)
                scores.append(scheduler.score(prepared[key], prepared[current], view))
                true.append(float((labels[key] != labels[current]).float().mean()))
    ranks = [np.argsort(np.argsort(values)).astype(float) for values in (scores, true)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
