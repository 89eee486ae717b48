"""One configuration over all inputs: what ``results.json`` and ``timing.json`` say of it."""

from __future__ import annotations

from dataclasses import asdict
from itertools import chain, pairwise
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from vss_ros.engine.latency import percentiles
from vss_ros.evaluation.metrics.boundary import BoundaryFScore
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix
from vss_ros.evaluation.metrics.distance import interval_scores
from vss_ros.evaluation.metrics.stream_counts import StreamCounts
from vss_ros.evaluation.metrics.streaming import StreamingAccuracy
from vss_ros.evaluation.metrics.temporal import TemporalConsistency
from vss_ros.evaluation.replay.frame_pictures import WORST_FRAMES
from vss_ros.evaluation.replay.result import InputResult, InputTiming, rounded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from vss_ros.evaluation.replay.result import Counts, Evaluated, FrameRow
    from vss_ros.evaluation.sweep.configuration import EvaluationConfig

ABOUT_INPUTS = ('path', 'sha256', 'truth', 'frames', 'scored', 'rejected', 'partial', 'failed', 'reason')
PER_FRAME = 'per_frame'


def summarise(config: EvaluationConfig, results: Sequence[InputResult]) -> dict[str, Any]:
    """Return what one configuration did over all inputs; of a replay the same bytes as JSON in every run.

    Where some inputs have true masks and others none, accuracy is of the former and ``agreement`` of the
    latter: the two are never added.

    Args:
        config: The configuration.
        results: Of each input, failed ones included.

    """
    good = [result for result in results if not result.failed]
    kind = _kind_of_truth(good)
    scored = [result for result in good if _is_scored(result, kind)]
    rows = [(number, row) for number, result in enumerate(results) for row in result.rows]
    counts = StreamCounts()
    for _, row in rows:
        counts.add(row)
    for result in results:
        for cause, frames in result.drops.items():
            counts.add_drops(cause, frames)
    summary = {
        'name': config.name,
        'config': config.to_dict(),
        'live': config.live,
        'rate': config.rate,
        'inputs': [{name: getattr(result, name) for name in ABOUT_INPUTS} for result in results],
        'truth': kind,
        'frame_interval_ms': _frame_interval([row for _, row in rows]),
        'frames': counts.frames,
        'key_frames': counts.key_frames,
        'key_frame_rate': rounded(counts.key_frame_rate),
        'mean_interval': rounded(counts.mean_interval),
        'distances': {str(distance): frames for distance, frames in counts.distances.items()},
        'drops': counts.drops,
        'flops_ratio': _ratio(sum(r.flops for r in good), sum(r.flops_whole for r in good)),
        'flops_ratio_key': _flops_ratio(good, keys=True),
        'flops_ratio_nonkey': _flops_ratio(good, keys=False),
        'gflops_nonkey': _ratio(
            sum(r.flops - r.flops_key for r in good) / 1e9, counts.frames - counts.key_frames
        ),
    }
    summary |= _scores(scored, kind, with_pda=config.pda)
    others = [result for result in good if not _is_scored(result, kind)]
    if others:
        summary['agreement'] = rounded(matrix_of([r.confusion for r in others], others[0].void_id).miou)
    summary['temporal_consistency'] = _temporal(good)
    summary['worst'] = worst_frames(results, kind)
    summary['decisions'] = [{'input': number} | asdict(row) for number, row in rows]
    return summary


def _frame_interval(rows: Sequence[FrameRow]) -> float | None:
    """Return the median time from frame to frame, milliseconds; None without two frames of a stream."""
    steps = [now.stamp_ns - last.stamp_ns for last, now in pairwise(rows) if not now.starts_stream]
    return round(median(steps) / 1e6, 3) if steps else None


def _kind_of_truth(good: Sequence[InputResult]) -> str:
    """Return the kind of truth that accuracy is against: drawn masks where any input has some."""
    kinds = [result.truth for result in good]
    return next((kind for kind in kinds if kind != PER_FRAME), PER_FRAME if kinds else '')


def _is_scored(result: InputResult, kind: str) -> bool:
    """Tell whether an input is among those that accuracy is of."""
    return not result.failed and (result.truth == PER_FRAME) == (kind == PER_FRAME)


def _scores(scored: Sequence[InputResult], kind: str, *, with_pda: bool) -> dict[str, Any]:
    """Return everything read from confusion matrices."""
    if not scored:
        return {'miou': None, 'pixel_accuracy': None, 'class_accuracy': None, 'per_class_iou': {}}
    names, void_id = scored[0].class_names, scored[0].void_id
    matrix = matrix_of([result.confusion for result in scored], void_id)
    by_distance = _by_distance([result.distance_confusion for result in scored], void_id)
    pda = _by_distance([result.pda for result in scored], void_id)
    interval = interval_scores(by_distance, max(by_distance) + 1)
    scores = {
        'miou' if kind != PER_FRAME else 'agreement': rounded(matrix.miou),
        'pixel_accuracy': rounded(matrix.pixel_accuracy),
        'class_accuracy': rounded(matrix.class_accuracy),
        'per_class_iou': {name: rounded(v) for name, v in zip(names, matrix.per_class_iou, strict=True)},
        'class_colours': dict(zip(names, scored[0].class_colours, strict=False)),
        'confusion': matrix.counts.tolist(),
        'boundary_f': _boundary(scored, names),
        'distance_miou': {str(distance): rounded(v) for distance, v in by_distance.items()},
        'interval': {
            'frames': interval.interval,
            'average_miou': rounded(interval.average_miou),
            'minimum_miou': rounded(interval.minimum_miou),
        },
    }
    return scores | ({'pda': {str(distance): rounded(v) for distance, v in pda.items()}} if with_pda else {})


def matrix_of(counts: Sequence[Counts], void_id: int) -> ConfusionMatrix:
    """Return the sum of confusion matrices given by their counts, at least one."""
    return _merged([ConfusionMatrix.from_counts(entry, void_id) for entry in counts])


def _by_distance(parts: Sequence[Mapping[int, Counts]], void_id: int) -> dict[int, float]:
    """Return mIoU by distance."""
    distances = sorted({distance for part in parts for distance in part})
    return {d: matrix_of([part[d] for part in parts if d in part], void_id).miou for d in distances}


def _boundary(scored: Sequence[InputResult], names: Sequence[str]) -> dict[str, Any] | None:
    counted = [BoundaryFScore.from_dict(r.boundary) for r in scored if r.boundary is not None]
    if not counted:
        return None
    score = _merged(counted)
    return {
        'tolerance_px': score.tolerance_px,
        'mean': rounded(score.mean),
        'per_class': {name: rounded(v) for name, v in zip(names, score.per_class, strict=True)},
    }


def _temporal(good: Sequence[InputResult]) -> float | None:
    counted = [TemporalConsistency.from_dict(r.temporal) for r in good if r.temporal is not None]
    return rounded(_merged(counted).miou) if counted else None


def worst_frames(results: Sequence[InputResult], kind: str) -> list[dict[str, Any]]:
    """Return the ``WORST_FRAMES`` frames of lowest score, worst first."""
    found = [
        {
            'input': number,
            'path': result.path,
            'frame_index': row.frame_index,
            'stamp_ns': row.stamp_ns,
            'score': row.score,
        }
        for number, result in enumerate(results)
        if _is_scored(result, kind)
        for row in result.rows
        if row.score is not None
    ]
    return sorted(found, key=lambda entry: (entry['score'], entry['input'], entry['frame_index']))[
        :WORST_FRAMES
    ]


def summarise_timing(name: str, evaluated: Sequence[Evaluated]) -> dict[str, Any]:
    """Return what the clock said of one configuration over all inputs.

    ``latency_steady_ms`` leaves out the frames at which a stream begins: no track can answer these without
    the whole network. ``latency_subscriber_ms``, of live runs, is from image to mask at a subscriber.
    ``replays`` says of how many runs each frame's time is the median, at least, and ``spread`` by which
    factor these usually differ for one frame, at most: 1 on a machine that does nothing else.

    Args:
        name: The configuration's.
        evaluated: Of each input, failed ones included.

    """
    good = [entry for entry in evaluated if not entry.result.failed]
    timed = [
        (row, ms / 1e3)
        for entry in good
        for row, ms in zip(entry.result.rows, entry.timing.latency_ms, strict=True)
    ]
    machines = [entry.timing.machine for entry in good]
    live = [ms / 1e3 for entry in good for ms in entry.timing.subscriber_ms]
    return {
        'name': name,
        'latency_ms': percentiles([seconds for _, seconds in timed]),
        'latency_steady_ms': percentiles([seconds for row, seconds in timed if not row.starts_stream]),
        'latency_key_ms': percentiles([seconds for row, seconds in timed if row.is_key_frame]),
        'latency_nonkey_ms': percentiles([seconds for row, seconds in timed if not row.is_key_frame]),
        'latency_subscriber_ms': percentiles(live),
        'parts_ms': _parts([entry.timing for entry in good]),
        'streaming': _streaming(good),
        'replays': min((entry.timing.replays for entry in good), default=0),
        'spread': max((e.timing.spread for e in good if e.timing.spread is not None), default=None),
        'machine': machines[0] if machines else {},
        'machines': len({str(machine) for machine in machines}),
        'inputs': [
            {
                'path': entry.result.path,
                'latency_ms': list(entry.timing.latency_ms),
                'played_rate': entry.timing.played_rate,
            }
            for entry in evaluated
        ],
    }


def _parts(timings: Sequence[InputTiming]) -> dict[str, dict[str, float]]:
    names = dict.fromkeys(chain.from_iterable(timing.parts_ms for timing in timings))
    return {
        part: percentiles([ms / 1e3 for timing in timings for ms in timing.parts_ms.get(part, ())])
        for part in names
    }


def _streaming(good: Sequence[Evaluated]) -> dict[str, Any] | None:
    """Return streaming accuracy over the inputs that accuracy is of."""
    kind = _kind_of_truth([entry.result for entry in good])
    counted = [
        StreamingAccuracy.from_dict(entry.timing.streaming)
        for entry in good
        if _is_scored(entry.result, kind) and entry.timing.streaming is not None
    ]
    if not counted:
        return None
    total = _merged(counted)
    return {
        'miou' if kind != PER_FRAME else 'agreement': rounded(total.miou),
        'mean_staleness_frames': rounded(total.mean_staleness_frames),
        'labelled': total.labelled,
        'misses': total.misses,
    }


def _flops_ratio(good: Sequence[InputResult], *, keys: bool) -> float | None:
    """Return mean FLOPs of a key frame, or of another, over those of the whole network."""
    part, whole = 0.0, 0.0
    for result in good:
        frames = sum(row.is_key_frame == keys for row in result.rows)
        part += result.flops_key if keys else result.flops - result.flops_key
        whole += result.flops_whole * frames / max(result.frames, 1)
    return _ratio(part, whole)


def _ratio(part: float, whole: float) -> float | None:
    return rounded(part / whole) if whole else None


class _Mergeable(Protocol):
    def merge(self, other: Self) -> None: ...


M = TypeVar('M', bound=_Mergeable)


def _merged(metrics: Sequence[M]) -> M:
    """Return the first metric with the counts of all the others added."""
    for other in metrics[1:]:
        metrics[0].merge(other)
    return metrics[0]
