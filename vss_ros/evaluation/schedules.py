"""Schedulers against each other at equal key-frame rate (low-latency paper, Figure 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from vss_ros.evaluation.pair_table import PairTable


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


def threshold_for(scores: NDArray[np.float64], starts: Iterable[int], wanted: int) -> float:
    """Return the smallest threshold that makes at most ``wanted`` key frames over all starts together."""
    candidates = np.unique(scores[~np.isnan(scores)])
    starts = list(starts)
    low, high = 0, len(candidates) - 1
    while low < high:  # fewer key frames the higher the threshold, but for chance: bisection
        middle = (low + high) // 2
        if sum(len(adaptive_schedule(scores, s, candidates[middle])) for s in starts) <= wanted:
            high = middle
        else:
            low = middle + 1
    return float(candidates[low])


def compare(table: PairTable, intervals: Iterable[int], starts: int = 5) -> Iterator[dict[str, float | str]]:
    """Yield mIoU of every scheduler at the key-frame rates of the given fixed intervals.

    Each schedule runs from each of the first frames, since a fixed one depends much on where it starts; the
    mIoU is the mean over these runs. Thresholds are chosen on the very sequence, to meet the rate: this
    compares how well key frames are placed, not how well a threshold carries over.

    Args:
        table: Pairs up to a distance well above the intervals.
        intervals: Frames from key frame to key frame.
        starts: How many first frames to run from.

    """
    frames = len(table.counts)
    for interval in intervals:
        fixed = [fixed_schedule(frames, first, interval) for first in range(starts)]
        schedules = {'fixed_interval': fixed}
        wanted = sum(len(keys) for keys in fixed)
        for name, scores in table.scores.items():
            threshold = threshold_for(scores, range(starts), wanted)
            schedules[name] = [adaptive_schedule(scores, first, threshold) for first in range(starts)]
        for name, runs in schedules.items():
            yield {
                'interval': interval,
                'scheduler': name,
                'key_frame_rate': sum(len(keys) for keys in runs) / sum(frames - keys[0] for keys in runs),
                'miou': float(np.mean([table.miou(keys) for keys in runs])),
            }
