"""Small folders of results, written by the package's own code, as reports are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vss_ros.engine.options import SegmenterConfig
from vss_ros.evaluation.replay.frame_pictures import WorstFrames
from vss_ros.evaluation.replay.result import Evaluated, InputResult, InputTiming
from vss_ros.evaluation.rows import FrameRow
from vss_ros.evaluation.sweep.configuration import EvaluationConfig
from vss_ros.evaluation.sweep.outputs import Evaluation, write_evaluation
from vss_ros.evaluation.sweep.sweep import Refused
from vss_ros.images.classes import load_classes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FRAMES = 24
INTERVAL = 4
"""Frames from one key frame to the next, where not every frame is one."""
MACHINE = {
    'cpu': 'Test CPU', 'device': 'cpu', 'threads': 2, 'date': '2026-01-02', 'versions': {'torch': '9.9'},
}  # fmt: skip


def configuration(name: str, propagation: str = 'flow_warp', interval: int = INTERVAL) -> EvaluationConfig:
    """Return a configuration with a fixed interval."""
    segmenter = SegmenterConfig(
        propagation=propagation, scheduler='fixed_interval', interval=interval, slow_delay=1
    )
    return EvaluationConfig(segmenter=segmenter, name=name).canonical()


def evaluated(
    config: EvaluationConfig,
    wrong: float,
    milliseconds: float,
    *,
    path: str = 'street_bag',
    truth: str = 'masks',
    noise: float = 0.0,
    seed: int = 0,
) -> Evaluated:
    """Return the result of one input whose answers are wrong in a share of the pixels.

    Args:
        config: Every frame is a key frame where nothing propagates.
        wrong: Share of wrong pixels on key frames; it grows with the distance from them.
        milliseconds: Latency of the frames between; key frames take as long, the first ten times.
        path: What the input is called.
        truth: Kind of truth.
        noise: Standard deviation of the frames' own shares and, relatively, of latencies.
        seed: Of the noise.

    """
    rng, table = np.random.default_rng(seed), load_classes('camvid11')
    every = 1 if config.segmenter.propagation == 'none' else INTERVAL
    shares = wrong * (1 + np.arange(FRAMES) % every) + noise * rng.standard_normal(FRAMES)
    scores = np.clip(1 - shares, 0, 1)
    rows = [_row(i, every, float(scores[i])) for i in range(FRAMES)]
    worst = WorstFrames(table)
    for row in rows:
        image = rng.integers(0, 255, (48, 64, 3), np.uint8)
        worst.offer(row, image, np.full((48, 64), 3, np.uint8), np.full((24, 32), 5, np.uint8))
    total = {0: _counts(float(scores.mean()))}
    matrices = {d: _counts(float(scores[d::every].mean())) for d in range(every)}
    times = milliseconds * np.exp(noise * rng.standard_normal(FRAMES))
    times[0] *= 10
    result = InputResult(
        path=path, sha256='ab' * 32, truth=truth, class_names=table.names,
        class_colours=tuple('#{:02x}{:02x}{:02x}'.format(*colour) for colour in table.colours.tolist()),
        frames=FRAMES, scored=FRAMES, metrics={'accuracy': _stored(total), 'distance': _stored(matrices)},
        flops=FRAMES * 10, flops_whole=FRAMES * 20, flops_key=FRAMES // every * 20, rows=tuple(rows),
        pictures=worst.pictures,
    )  # fmt: skip
    timing = InputTiming(tuple(times.tolist()), {'high': tuple(times.tolist())}, machine=MACHINE)
    return Evaluated(result, timing)


def _row(index: int, every: int, score: float) -> FrameRow:
    since = index % every
    return FrameRow(
        frame_index=index, stamp_ns=10**9 + index * 66_666_667, is_key_frame=since == 0,
        reason='first' if index == 0 else 'interval', predicted_deviation=0.05 * since, threshold=0.2,
        key_frame_stamp_ns=10**9 + (index - since) * 66_666_667, frames_since_key=since,
        track='full' if since == 0 else 'propagated', features_accurate=True, score=round(score, 6),
        deviation=None if index == 0 else 0.04 * since,
    )  # fmt: skip


def _counts(right: float) -> list[list[int]]:
    """Return counts over eleven classes of which each has the same share right, the last no pixel at all."""
    counts = np.zeros((11, 12), np.int64)
    for true in range(10):
        counts[true, true] = round(10_000 * right)
        counts[true, (true + 1) % 10] = 10_000 - counts[true, true]
    return counts.tolist()


def _stored(matrices: dict[int, list[list[int]]]) -> dict[str, Any]:
    """Return what a metric of confusion matrices stores."""
    stored = {str(number): counts for number, counts in matrices.items()}
    return {'classes': 11, 'void_id': 255, 'sums': {}, 'matrices': stored}


def write_results(
    folder: Path,
    found: Sequence[tuple[EvaluationConfig, Sequence[Evaluated]]],
    refused: Sequence[Refused] = (),
) -> Path:
    """Write a folder as ``vss evaluate -o`` does."""
    write_evaluation(Evaluation.of(found, refused), folder)
    return folder


def three(folder: Path, path: str = 'street_bag', names: tuple[str, str] = ('swift', 'careful')) -> Path:
    """Write a sweep: the network on every frame, one fast, one accurate configuration, and one refused."""
    whole = configuration('per_frame', 'none')
    fast, accurate = configuration(names[0]), configuration(names[1], interval=2)
    wrong = {whole: (0.10, 100.0), fast: (0.08, 20.0), accurate: (0.044, 70.0)}
    found = [(config, [evaluated(config, *figures, path=path)]) for config, figures in wrong.items()]
    return write_results(folder, found, [Refused(configuration('guided', 'guided_filter'), 'no weights')])
