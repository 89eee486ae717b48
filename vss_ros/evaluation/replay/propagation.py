"""How accuracy falls with distance, and how well a predicted deviation ranks frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from vss_ros.engine.labels import argmax_upsampled
from vss_ros.engine.motion.trail import MotionTrail
from vss_ros.engine.preprocess import fitted
from vss_ros.engine.schedulers.fixed_interval import FixedInterval
from vss_ros.engine.view import look
from vss_ros.engine.whole_network import WholeNetwork
from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from torch import Tensor

    from vss_ros.datasets.labelled import Clip, LabelledImages
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
        video: Labelled frames, consecutive or with those before them; no hop leads from clip to clip.
        distances: Propagation distances in frames; 0 stands for the whole network.
        stride: Take every ``stride``-th current frame.
        motion: Where the propagation looks at motion: the estimator.

    Raises:
        VssError: No labelled frame has as many before it as the largest distance, or 10.

    """
    propagation.eval()
    network = WholeNetwork(backbone, propagation, FixedInterval(backbone.low_channels))
    matrices = {distance: ConfusionMatrix(backbone.classes, backbone.classes) for distance in distances}
    earliest, seen = max(10, *matrices), 0
    for clip in video.clips():
        labelled = [(place, number) for number, place in enumerate(clip.labelled) if place >= earliest]
        # The same frames at each distance.
        counted = dict(pair for count, pair in enumerate(labelled, seen) if count % stride == 0)
        seen += len(labelled)
        views = list(views_of(backbone, clip, motion)) if counted else []
        for key in range(len(views)):
            reached = {d: key + d for d in matrices if key + d in counted}
            if not reached:
                continue
            high = network.compute(network.entry(views[key]))
            followed = views[key : key + max(reached) + 1]
            for distance, _, answer in propagated(propagation, followed, high, reached):
                labels = clip.labels[counted[key + distance]]
                size = (labels.shape[0], labels.shape[1])
                matrices[distance].add(labels, argmax_upsampled(network.logits(answer), size))
    if not seen:
        raise VssError(
            f'expected labelled frames with {earliest} before them, got none; choose another video'
        )
    return {distance: matrix.miou for distance, matrix in matrices.items()}


def propagated(
    propagation: Propagation, views: list[View], high: Tensor, wanted: Container[int]
) -> Iterator[tuple[int, View, Tensor]]:
    """Yield distance, view and features (or logits) of the wanted distances, as the robot gets them.

    Args:
        propagation: Trained.
        views: Consecutive frames, the first one a key frame.
        high: The key frame's F_h or logits.
        wanted: Distances, 0 for the key frame itself.

    """
    if 0 in wanted:
        yield 0, views[0], high
    source = propagation.prepare(views[0])
    from_key = bool(propagation.motion) and not propagation.frame_by_frame
    for distance, seen in enumerate(since_first(views), 1):
        if not propagation.frame_by_frame and distance not in wanted:
            continue
        view = seen.replace(motion=seen.since_key) if from_key else seen
        current = propagation.prepare(view)
        answer = propagation.propagate(source, high, current, view)
        if propagation.frame_by_frame:
            source, high = current, answer
        if distance in wanted:
            yield distance, view, answer


def views_of(
    backbone: Backbone, video: LabelledImages | Clip, motion: MotionEstimator | None
) -> Iterator[View]:
    """Yield the frames as propagations see them, each with its motion to the frame before."""
    trail = MotionTrail(motion)
    for image in video.images:
        yield trail.follow(look(backbone, fitted(image, backbone.size_step, backbone.fixed_size)[None]))


def since_first(views: list[View]) -> Iterator[View]:
    """Yield the views after the first with ``since_key``, the motion to the first, where there is any."""
    since: MotionField | None = None
    for view in views[1:]:
        if view.has_motion:
            since = view.motion if since is None else view.motion.compose(since)
        yield view.replace(since_key=since)


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
        video: Consecutive frames, or several clips of such.
        distances: Frames from key frame to current frame.
        stride: Take every ``stride``-th frame as a key frame.
        motion: Where the scheduler looks at motion: the estimator.

    """
    scheduler.eval()
    wanted = set(distances)
    scores, true = [], []
    for clip in video.clips():
        views = list(views_of(backbone, clip, motion))
        labels = [backbone.head(backbone.high(view.low)).argmax(1) for view in views]
        prepared = [scheduler.prepare(view) for view in views]
        for key in range(0, len(views) - 1, stride):
            for current, view in enumerate(since_first(views[key : key + max(wanted) + 1]), key + 1):
                if current - key in wanted:
                    scores.append(scheduler.score(prepared[key], prepared[current], view))
                    true.append(float((labels[key] != labels[current]).float().mean()))
    ranks = [np.argsort(np.argsort(values)).astype(float) for values in (scores, true)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
