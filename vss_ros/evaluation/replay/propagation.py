"""How accuracy falls with distance, and how well a predicted deviation ranks frames."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from vss_ros.engine.labels import argmax_upsampled, label_size, resize_labels
from vss_ros.engine.motion.base import MotionTrail
from vss_ros.engine.preprocess import Normalisation, Preprocessor, checked_size, fitted
from vss_ros.engine.schedulers.fixed_interval import FixedInterval
from vss_ros.engine.view import View, look
from vss_ros.engine.whole_network import WholeNetwork
from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.distance import DistanceAccuracy

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from vss_ros.datasets.labelled import Clip, LabelledImages
    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.build import Built
    from vss_ros.engine.frames import Frame
    from vss_ros.engine.motion import MotionEstimator
    from vss_ros.engine.motion.field import MotionField
    from vss_ros.engine.propagation import Propagation
    from vss_ros.engine.schedulers import Scheduler

    Count = Callable[[int, NDArray[np.uint8], Tensor, tuple[int, int]], None]
    """Gets distance, truth, logits, and the height and width at which these become labels."""


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

    Arguments and errors are those of ``each_distance``.
    """
    wanted = tuple(distances)
    accuracy = DistanceAccuracy(backbone.classes, backbone.classes)
    each_distance(backbone, propagation, video.clips(), wanted, _into(accuracy), stride=stride, motion=motion)
    return {distance: accuracy.matrix(distance).miou for distance in wanted}


@torch.inference_mode()
def each_distance(
    backbone: Backbone,
    propagation: Propagation,
    clips: Iterable[Clip],
    distances: Sequence[int],
    count: Count,
    *,
    stride: int = 1,
    motion: MotionEstimator | None = None,
) -> None:
    """Hand the logits of labelled frames to ``count``, of each frame at all distances.

    As on the robot: in one hop from the key frame, or frame by frame where the propagation goes so.

    Args:
        backbone: Trained backbone.
        propagation: Trained propagation.
        clips: Labelled frames with those before them; no hop leads from clip to clip.
        distances: Propagation distances in frames; 0 stands for the whole network.
        count: Called with distance, truth, logits, and the height and width at which these become labels.
        stride: Take every ``stride``-th current frame.
        motion: Where the propagation looks at motion: the estimator.

    Raises:
        VssError: No labelled frame has as many before it as the largest distance, or 10.
    """
    propagation.eval()
    counter = _DistanceCounter(backbone, propagation, FixedInterval(backbone.low_channels), distances, count)
    earliest, seen = max(10, *distances), 0
    for clip in clips:
        labelled = [(place, number) for number, place in enumerate(clip.labelled) if place >= earliest]
        # The same frames at each distance.
        counted = dict(pair for number, pair in enumerate(labelled, seen) if number % stride == 0)
        seen += len(labelled)
        for place, view in enumerate(views_of(backbone, clip, motion) if counted else ()):
            counter.add(view, clip.labels[counted[place]] if place in counted else None)
        counter.end_stream()
    if not seen:
        raise VssError(
            f'expected labelled frames with {earliest} before them, got none; choose another video'
        )


def _into(accuracy: DistanceAccuracy) -> Count:
    """Return what turns logits into labels, as the engine does, and counts them."""

    def count(distance: int, truth: NDArray[np.uint8], logits: Tensor, size: tuple[int, int]) -> None:
        labels = argmax_upsampled(logits, size)
        accuracy.add(distance, truth, resize_labels(labels, (truth.shape[0], truth.shape[1])))

    return count


@torch.inference_mode()
def count_distances(
    built: Built,
    size: tuple[int, int] | None,
    frames: Iterable[tuple[Frame, NDArray[np.uint8] | None, bool]],
    distances: Sequence[int],
    accuracy: DistanceAccuracy,
) -> None:
    """Count the PDA curve of a segmenter on an input, at the same frames for each distance.

    Counted is each labelled frame with as many frames before it as the largest distance; only a window of so
    many frames is held.

    Args:
        built: The segmenter; where it has no propagation, distance 0 is all there is.
        size: Network input that was asked for, None for the card's.
        frames: Each frame with its truth, None where it has none, and whether a stream begins there.
        distances: Propagation distances in frames.
        accuracy: Counts.
    """
    parts, card = built.segmenter.parts, built.card
    backbone = parts.backbone
    counter = _DistanceCounter(backbone, parts.propagation, parts.scheduler, distances, _into(accuracy))
    statistics = Normalisation(card.mean, card.std)  # type: ignore[arg-type]
    size = checked_size(size, backbone.size_multiple, backbone.fixed_size)
    preprocess = Preprocessor(statistics, card.input_size, backbone.size_step, built.device, size)
    trail, place = MotionTrail(parts.motion), 0
    for frame, truth, begins in frames:
        if begins:
            counter.end_stream()
            trail.reset()
            place = 0
        camera = (frame.image.shape[0], frame.image.shape[1])
        # In memory of its own: the preprocessor's is valid for one frame.
        pixels = preprocess(frame.image).copy()[None]
        image = preprocess.image().clone(memory_format=torch.preserve_format)
        view = View(pixels, image, backbone.low(image), codec=frame.codec, camera=camera)
        counted = truth if place >= max(distances) else None
        counter.add(trail.follow(view), counted, label_size(camera, preprocess.size(camera)))
        place += 1
    counter.end_stream()


class _Seen(NamedTuple):
    """One frame of the window."""

    view: View
    truth: NDArray[np.uint8] | None
    """None where it is not counted."""
    size: tuple[int, int] | None
    """Height and width at which logits become labels; None for those of the truth."""


class _DistanceCounter:
    """Propagates from each frame of a stream, as a key frame, to the frames after it that are counted."""

    def __init__(
        self,
        backbone: Backbone,
        propagation: Propagation | None,
        scheduler: Scheduler,
        distances: Sequence[int],
        count: Count,
    ) -> None:
        self._network = WholeNetwork(backbone, propagation, scheduler)
        self._propagation, self._count = propagation, count
        self._distances = distances if propagation is not None else (0,)
        self._window: deque[_Seen] = deque()

    def add(self, view: View, truth: NDArray[np.uint8] | None, size: tuple[int, int] | None = None) -> None:
        self._window.append(_Seen(view, truth, size))
        if len(self._window) > max(self._distances):
            self._leave()

    def end_stream(self) -> None:
        """Take what is left as the stream's end."""
        while self._window:
            self._leave()

    def _leave(self) -> None:
        """Propagate from the window's first frame, and drop it."""
        seen = list(self._window)
        self._window.popleft()
        near = [d for d in self._distances if d < len(seen)]
        if not (reached := {d: truth for d in near if (truth := seen[d].truth) is not None}):
            return
        views = [entry.view for entry in seen[: max(reached) + 1]]
        high = self._network.compute(self._network.entry(views[0]))
        answers = [(0, high)]
        if self._propagation is not None:
            answers = [(d, answer) for d, _, answer in propagated(self._propagation, views, high, reached)]
        # Features or logits are scored as the engine's own answers are.
        for distance, answer in answers:
            truth = reached[distance]
            size = seen[distance].size or (truth.shape[0], truth.shape[1])
            self._count(distance, truth, self._network.logits(answer), size)


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
