"""Schedulers against each other at equal key-frame rate (low-latency paper, Figure 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vss_ros.engine.schedulers import Scheduler

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from experiments.pair_table import PairTable
    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.view import View

TRIED = 500
"""Most thresholds that are tried for a rate."""


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
    scores: Sequence[NDArray[np.float64]], starts: Iterable[int], wanted: int, tolerance: float = 0.05
) -> list[float]:
    """Return thresholds that make about ``wanted`` key frames over all drives and starts together.

    Scores over the whole range are tried: key frames do not always become fewer as the threshold rises, and
    thresholds that make equally many place them differently (on ``val`` worth up to 0.5 mIoU), so that one
    says little.

    Args:
        scores: Of every drive, as for `adaptive_schedule`.
        starts: First frames.
        wanted: Number of key frames.
        tolerance: Share of ``wanted`` by which the number may differ.

    Returns:
        At least one: the closest where none is within the tolerance.

    """
    starts = list(starts)
    found = np.unique(np.concatenate([table[~np.isnan(table)] for table in scores]))
    candidates = found[np.linspace(0, len(found) - 1, min(len(found), TRIED)).astype(int)].tolist()
    missed = [
        abs(sum(len(adaptive_schedule(table, first, t)) for table in scores for first in starts) - wanted)
        for t in candidates
    ]
    most = max(min(missed), tolerance * wanted)
    return [threshold for threshold, off in zip(candidates, missed, strict=True) if off <= most]


def compare(
    tables: Sequence[PairTable], intervals: Iterable[int], starts: int = 10
) -> Iterator[dict[str, float | str]]:
    """Yield mIoU of every scheduler at the key-frame rates of the given fixed intervals.

    Each schedule runs from each of the first frames, since a fixed one depends much on where it starts; rate
    and mIoU, over all drives together, are means over these runs. Of the thresholds that about meet a rate
    (`thresholds_for`) a line through their mIoU says what it is at that very rate: one key frame more in
    twenty is worth as much as what schedulers differ by. Thresholds are chosen on the very drives, one for
    all of them: this compares how well key frames are placed, not how well a threshold carries over.

    Args:
        tables: Of one or more drives, pairs up to a distance well above the intervals.
        intervals: Frames from key frame to key frame.
        starts: How many first frames to run from.

    """
    lengths, first_frames = [len(table.counts) for table in tables], range(starts)
    for interval in intervals:
        fixed = [[fixed_schedule(frames, first, interval) for frames in lengths] for first in first_frames]
        wanted = _scored(tables, fixed)
        points = {'fixed_interval': wanted}
        keys = sum(len(keys) for run in fixed for keys in run)
        for name in tables[0].scores:
            scores = [table.scores[name] for table in tables]
            points[name] = _at_rate(
                wanted.rate,
                [
                    _scored(
                        tables,
                        [[adaptive_schedule(drive, first, t) for drive in scores] for first in first_frames],
                    )
                    for t in thresholds_for(scores, first_frames, keys)
                ],
            )
        for name, point in points.items():
            yield {
                'interval': interval,
                'scheduler': name,
                'key_frame_rate': point.rate,
                'miou': point.miou,
            }


class _Point(NamedTuple):
    """What one threshold, or a fixed interval, gives."""

    rate: float
    """Key frames per frame."""
    miou: float


def _scored(tables: Sequence[PairTable], runs: Sequence[Sequence[Sequence[int]]]) -> _Point:
    """Return rate and mIoU of one rule; a run has the key frames of every drive."""
    lengths = [len(table.counts) for table in tables]
    shown = sum(frames - keys[0] for run in runs for frames, keys in zip(lengths, run, strict=True))
    rate = sum(len(keys) for run in runs for keys in run) / shown
    return _Point(rate, float(np.mean([_miou(tables, run) for run in runs])))


def _at_rate(wanted: float, points: Sequence[_Point]) -> _Point:
    """Return the mIoU of points around a rate at that rate; the points' mean where all lie to one side."""
    rates, mious = (np.array(values) for values in zip(*points, strict=True))
    if not rates.min() <= wanted <= rates.max() or rates.min() == rates.max():
        return _Point(float(rates.mean()), float(mious.mean()))
    return _Point(wanted, float(np.polyfit(rates - wanted, mious, 1)[1]))


def _miou(tables: Sequence[PairTable], run: Sequence[Sequence[int]]) -> float:
    """Return the mIoU over all drives together, each with its key frames."""
    first, *others = (table.confusion(keys) for table, keys in zip(tables, run, strict=True))
    for matrix in others:
        first.merge(matrix)
    return first.miou
