"""Every pair of key and current frame of a sequence, computed once: schedules are then only looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm import tqdm

from vss_ros.engine.labels import argmax_upsampled
from vss_ros.engine.schedulers.fixed_interval import FixedInterval
from vss_ros.engine.whole_network import WholeNetwork
from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix
from vss_ros.evaluation.replay.propagation import propagated, views_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from vss_ros.datasets.labelled import LabelledImages
    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.motion import MotionEstimator
    from vss_ros.engine.propagation import Propagation
    from vss_ros.engine.schedulers import Scheduler


class PairTable:
    """Labels propagated over every pair of frames, and what each scheduler says of it.

    Only for propagations that go from the key frame in one hop, where a frame's answer depends on nothing
    but its key frame. Key frames are answered by the whole network (the blocking track).

    Attributes:
        counts: Confusion counts by key frame and distance, ``(T, D + 1, C, C + 1)``; distance 0 is the key
            frame itself.
        scores: By scheduler, as much as they count at that distance, ``(T, D + 1)`` float64; NaN at distance
            0 and beyond the end.

    """

    def __init__(
        self,
        backbone: Backbone,
        propagation: Propagation,
        schedulers: dict[str, Scheduler],
        video: LabelledImages,
        furthest: int,
        motion: MotionEstimator | None = None,
    ) -> None:
        """Fill the table.

        Args:
            backbone: Trained.
            propagation: Trained, from the key frame in one hop.
            schedulers: By name, trained where they need it.
            video: Consecutive labelled frames.
            furthest: Largest distance D.
            motion: Where a part looks at motion: the estimator.

        Raises:
            VssError: A propagation that goes frame by frame.

        """
        if propagation.frame_by_frame:
            msg = 'a table of pairs needs a propagation that goes from the key frame in one hop'
            raise VssError(msg)
        frames = len(video)
        self.furthest = furthest
        self.scores = {name: np.full((frames, furthest + 1), np.nan) for name in schedulers}
        self.counts = np.zeros((frames, furthest + 1, backbone.classes, backbone.classes + 1), np.int64)
        network = WholeNetwork(backbone, propagation, FixedInterval(backbone.low_channels))
        with torch.inference_mode():
            views = list(views_of(backbone, video, motion))
            prepared = {name: [member.prepare(view) for view in views] for name, member in schedulers.items()}
            for key in tqdm(range(frames), desc='frame pairs', unit='key frame', leave=False):
                high = network.compute(network.entry(views[key]))
                reach = views[key : key + furthest + 1]
                for distance, view, answer in propagated(propagation, reach, high, range(furthest + 1)):
                    self.counts[key, distance] = _counts(network.logits(answer), video.labels[key + distance])
                    for name, member in schedulers.items() if distance else ():
                        of_key, of_current = (prepared[name][key + d] for d in (0, distance))
                        score = member.score(of_key, of_current, view) * member.weight(distance)
                        self.scores[name][key, distance] = score

    def confusion(self, key_frames: Sequence[int]) -> ConfusionMatrix:
        """Return a schedule's confusion matrix over the frames from its first key frame on."""
        classes = self.counts.shape[2]
        matrix = ConfusionMatrix(classes, classes)
        ends = [*key_frames[1:], len(self.counts)]
        for key, end in zip(key_frames, ends, strict=True):
            matrix.counts[...] += self.counts[key, : end - key].sum(0)
        return matrix


def _counts(logits: Tensor, truth: NDArray[np.uint8]) -> NDArray[np.int64]:
    classes = logits.shape[1]
    matrix = ConfusionMatrix(classes, classes)
    matrix.add(truth, argmax_upsampled(logits, (truth.shape[0], truth.shape[1])))
    return matrix.counts
