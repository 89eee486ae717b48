"""Schedulers against each other at equal key-frame rate (low-latency paper, Figure 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vss_ros.engine.schedulers import Scheduler

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.view import View
    from vss_ros.evaluation.pair_table import PairTable


class TrueDeviation(Scheduler):
    """Knows what others estimate: the share of pixels whose label, by the whole network, has changed.

    On no robot, since it takes the whole network on every frame; it shows what an estimate of the deviation
    could gain at most.

    Args:
        backbone: Trained.

    """

    needs_low = True

    def __init__(self, backbone: Backbone) -> None:
        """Keep the backbone, which is no part of this module."""
        super().__init__(backbone.low_channels)
        self._backbone = (backbone,)  # in a tuple, or it would be a submodule

    def prepare(self, view: View) -> Tensor:
        """Return the whole network's labels, ``(N, h, w)``."""
        (backbone,) = self._backbone
        return backbone.head(backbone.high(view.low)).argmax(1)

    def score(self, key: Tensor | None, current: Tensor | None, view: View) -> float:  # noqa: ARG002
        """Return the share of labels that differ."""
        assert key is not None and current is not None  # noqa: PT018 (prepare() never returns None here)
        return float((key != current).float().mean())


def fixed_schedule(frames: int, first: int, interval: int) -> list[int]:
    """Return the key frames of a fixed interval, the first one frame ``first``."""
    return list(range(first, frames, interval))


def adaptive_schedule(scores: NDArray[np.float64], first: int, threshold: float) -> list[int]:
    """Return the key frames of a threshold, the first one frame ``first``.

    Args:
        scores: Of every key frame (row) and distance (column), ``(T, D + 1)``; NaN at distance 0.
        first: Where the sequence starts.
        threshold: Scores above it make a key frame; so does distance D.

    """
    frames, furthest = scores.shape[0], scores.shape[1] - 1
    keys = [first]
    for frame in range(first + 1, frames):
        distance = frame - keys[-1]
        if distance == furthest or scores[keys[-1], distance] > threshold:
            keys.append(frame)
    return keys


def thresholds_for(
    scores: NDArray[np.float64], starts: Iterable[int], wanted: int, tolerance: float = 0.05
) -> list[float]:
    """Return all thresholds that make about ``wanted`` key frames over all starts together.

    Every score is tried: key frames do not always become fewer as the threshold rises, and thresholds that
    make equally many place them differently (on ``val`` worth up to 0.5 mIoU), so that one says little.

    Args:
        scores: As for `adaptive_schedule`.
        starts: First frames.
        wanted: Number of key frames.
        tolerance: Share of ``wanted`` by which the number may differ.

    Returns:
        At least one: the closest where none is within the tolerance.

    """
    starts = list(starts)
    candidates = np.unique(scores[~np.isnan(scores)]).tolist()
    missed = [
        abs(sum(len(adaptive_schedule(scores, first, threshold)) for first in starts) - wanted)
        for threshold in candidates
    ]
    most = max(min(missed), tolerance * wanted)
    return [threshold for threshold, off in zip(candidates, missed, strict=True) if off <= most]


def compare(table: PairTable, intervals: Iterable[int], starts: int = 10) -> Iterator[dict[str, float | str]]:
    """Yield mIoU of every scheduler at the key-frame rates of the given fixed intervals.

    Each schedule runs from each of the first frames, since a fixed one depends much on where it starts; rate
    and mIoU are means over these runs, and over all thresholds that meet the rate (`thresholds_for`).
    Thresholds are chosen on the very sequence: this compares how well key frames are placed, not how well a
    threshold carries over.

    Args:
        table: Pairs up to a distance well above the intervals.
        intervals: Frames from key frame to key frame.
        starts: How many first frames to run from.

    """
    frames, first_frames = len(table.counts), range(starts)
    for interval in intervals:
        fixed = [fixed_schedule(frames, first, interval) for first in first_frames]
        schedules = {'fixed_interval': fixed}
        wanted = sum(len(keys) for keys in fixed)
        for name, scores in table.scores.items():
            schedules[name] = [
                adaptive_schedule(scores, first, threshold)
                for threshold in thresholds_for(scores, first_frames, wanted)
                for first in first_frames
            ]
        for name, runs in schedules.items():
            yield {
                'interval': interval,
                'scheduler': name,
                'key_frame_rate': sum(len(keys) for keys in runs) / sum(frames - keys[0] for keys in runs),
                'miou': float(np.mean([table.miou(keys) for keys in runs])),
            }
