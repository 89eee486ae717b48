"""One configuration over all inputs: what ``results.json`` and ``timing.json`` say of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from itertools import chain, pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from vss_ros.evaluation.metrics import METRICS, Naming, total
from vss_ros.evaluation.replay.frame_pictures import WORST_FRAMES
from vss_ros.evaluation.rows import rounded
from vss_ros.latency import percentiles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vss_ros.evaluation.replay.result import Counts, Evaluated, InputResult, InputTiming
    from vss_ros.evaluation.rows import FrameRow
    from vss_ros.evaluation.sweep.configuration import EvaluationConfig

ABOUT_INPUTS = ('path', 'sha256', 'truth', 'frames', 'scored', 'rejected', 'partial', 'failed', 'reason')
PER_FRAME = 'per_frame'
BUSY = 1.5
"""Spread from which on a machine counts as busy with other work."""


def summarise(config: EvaluationConfig, results: Sequence[InputResult]) -> dict[str, Any]:
    """Return what one configuration did over all inputs; of a replay the same bytes as JSON in every run.

    Where some inputs have true masks and others none, accuracy is of the former and ``agreement`` of the
    latter: the two are never added. Results are of each input, failed ones included.
    """
    good = [result for result in results if not result.failed]
    kind = _kind_of_truth(good)
    scored = [result for result in good if _is_scored(result, kind)]
    rows = [(number, row) for number, result in enumerate(results) for row in result.rows]
    keys = sum(row.is_key_frame for _, row in rows)
    distances = Counter(row.frames_since_key for _, row in rows)
    drops = sum((Counter(result.drops) for result in results), Counter[str]())
    summary = {
        'name': config.name,
        'config': config.to_dict(),
        'live': config.live,
        'rate': config.rate,
        'inputs': [{name: getattr(result, name) for name in ABOUT_INPUTS} for result in results],
        'truth': kind,
        'frame_interval_ms': _frame_interval([row for _, row in rows]),
        'frames': len(rows),
        'key_frames': keys,
        'key_frame_rate': _ratio(keys, len(rows)),
        'mean_interval': _ratio(len(rows), keys),
        'distances': {str(distance): frames for distance, frames in sorted(distances.items())},
        'drops': dict(sorted(drops.items())),
        'flops_ratio': _ratio(sum(r.flops for r in good), sum(r.flops_whole for r in good)),
        'flops_ratio_key': _flops_ratio(good, keys=True),
        'flops_ratio_nonkey': _flops_ratio(good, keys=False),
        'gflops_nonkey': _ratio(sum(r.flops - r.flops_key for r in good) / 1e9, len(rows) - keys),
    }
    if scored:
        summary['class_colours'] = dict(zip(scored[0].class_names, scored[0].class_colours, strict=False))
    summary |= _figures([(result, result.metrics) for result in good], kind, timed=False)
    others = [result for result in good if not _is_scored(result, kind)]
    if others:
        agreement = _figures([(result, result.metrics) for result in others], PER_FRAME, timed=False)
        summary['agreement'] = agreement['agreement']
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
    return not result.failed and (result.truth == PER_FRAME) == (kind == PER_FRAME)


def _figures(parts: Sequence[tuple[InputResult, Counts]], kind: str, *, timed: bool) -> dict[str, Any]:
    """Return the entries of all metrics that need latencies, or of the others, over the inputs evaluated."""
    names = next((result.class_names for result, _ in parts), ())
    naming = Naming(names, 'miou' if kind != PER_FRAME else 'agreement')
    figures: dict[str, Any] = {}
    for member in METRICS:
        metric = member.cls
        if metric.needs_latencies == timed:
            counted = [c for result, c in parts if not metric.needs_truth or _is_scored(result, kind)]
            whole = total(member.name, counted)
            figures |= metric.nothing if whole is None else whole.values(naming)
    return figures


def worst_frames(results: Sequence[InputResult], kind: str) -> list[dict[str, Any]]:
    """Return the ``WORST_FRAMES`` frames of lowest score, worst first."""
    found = [
        {'input': number, 'path': result.path}
        | {name: getattr(row, name) for name in ('frame_index', 'stamp_ns', 'score')}
        for number, result in enumerate(results)
        if _is_scored(result, kind)
        for row in result.rows
        if row.score is not None
    ]
    found.sort(key=lambda entry: (entry['score'], entry['input'], entry['frame_index']))
    return found[:WORST_FRAMES]


def summarise_timing(name: str, evaluated: Sequence[Evaluated]) -> dict[str, Any]:
    """Return how long one configuration took over all inputs, and the figures that depend on it.

    ``latency_steady_ms`` leaves out the frames at which a stream begins: no track can answer these without
    the whole network. ``latency_subscriber_ms``, of live runs, is from image to mask at a subscriber.
    ``replays`` says of how many runs each frame's time is the median, at least, and ``spread`` by which
    factor these usually differ for one frame, at most: 1 on a machine that does nothing else.
    """
    good = [entry for entry in evaluated if not entry.result.failed]
    timed = [
        (row, ms / 1e3)
        for entry in good
        for row, ms in zip(entry.result.rows, entry.timing.latency_ms, strict=True)
    ]
    machines = [entry.timing.machine for entry in good]
    kind = _kind_of_truth([entry.result for entry in good])
    live = [ms / 1e3 for entry in good for ms in entry.timing.subscriber_ms]
    return {
        'name': name,
        'latency_ms': percentiles([seconds for _, seconds in timed]),
        'latency_steady_ms': percentiles([seconds for row, seconds in timed if not row.starts_stream]),
        'latency_key_ms': percentiles([seconds for row, seconds in timed if row.is_key_frame]),
        'latency_nonkey_ms': percentiles([seconds for row, seconds in timed if not row.is_key_frame]),
        'latency_subscriber_ms': percentiles(live),
        'parts_ms': _parts([entry.timing for entry in good]),
        **_figures([(e.result, e.timing.metrics) for e in good], kind, timed=True),
        'replays': min((entry.timing.replays for entry in good), default=0),
        'spread': max((e.timing.spread for e in good if e.timing.spread is not None), default=None),
        'machine': machines[0] if machines else {},
        'machines': len({str(machine) for machine in machines}),
        'inputs': [
            {
                'path': e.result.path,
                'latency_ms': list(e.timing.latency_ms),
                'played_rate': e.timing.played_rate,
            }
            for e in evaluated
        ],
    }


def replays_note(results: Sequence[Mapping[str, Any]], timings: Sequence[Mapping[str, Any]]) -> str:
    """Return of how many replays times are, and how exact they are; nothing for live runs."""
    pairs = zip(results, timings, strict=True)
    timed = [timing for result, timing in pairs if not result.get('live') and timing['latency_ms']]
    counts = {timing.get('replays', 1) for timing in timed}
    if not counts:
        return ''
    if counts == {1}:
        text = 'times are of one replay, in which one busy moment of the machine can be the worst latency; '
        return text + '--repeats 3 takes medians'
    number = ' or '.join(map(str, sorted(counts)))
    text = f"each frame's time is the median of {number} replays, streaming accuracy is with these"
    spread = max(timing.get('spread') or 1 for timing in timed)
    if spread >= BUSY:
        text += (
            f'; one and the same frame took up to {spread:.1f} times as long in one replay as in another: '
            'this machine was busy, compare with care'
        )
    return text


def _parts(timings: Sequence[InputTiming]) -> dict[str, dict[str, float]]:
    names = dict.fromkeys(chain.from_iterable(timing.parts_ms for timing in timings))
    return {
        part: percentiles([ms / 1e3 for timing in timings for ms in timing.parts_ms.get(part, ())])
        for part in names
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
