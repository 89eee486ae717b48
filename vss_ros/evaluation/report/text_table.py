"""An evaluation as people read it in a terminal: the verdict first, then one line a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vss_ros.evaluation.sweep.summary import replays_note
from vss_ros.evaluation.sweep.verdict import score_of, sentences, slow_track_note

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vss_ros.evaluation.sweep.outputs import Evaluation


COLUMNS = ('', '', 'boundary', 'steadi-', 'as', 'key', 'FLOPs', 'p50', 'p99', 'worst')
UNITS = ('configuration', '', 'F %', 'ness %', 'stream %', 'frames %', '%', 'ms', 'ms', 'ms')


def text_of(evaluation: Evaluation) -> str:
    """Return verdict, table, what was refused and what was wrong with inputs."""
    lines = []
    verdict = evaluation.verdict
    if verdict is not None and len(evaluation.results) > 1:
        of_times = replays_note(evaluation.results, evaluation.timings)
        lines += [*sentences(verdict, evaluation.candidates), *([of_times] if of_times else []), '']
    lines += _table(evaluation)
    lines += live_lines(evaluation.results, evaluation.timings)
    note = slow_track_note(evaluation.results, evaluation.timings)
    lines += [f'note: {note}'] if note else []
    lines += [f'refused: {entry["name"]}: {entry["reason"]}' for entry in evaluation.refused]
    return '\n'.join([*lines, *_faults(evaluation)])


def _table(evaluation: Evaluation) -> list[str]:
    agreement = all(result.get('miou') is None for result in evaluation.results)
    score = 'agree %' if agreement else 'mIoU %'
    rows = [
        list(COLUMNS),
        [UNITS[0], score, *UNITS[2:]],
        *(
            _row(result, timing)
            for result, timing in zip(evaluation.results, evaluation.timings, strict=True)
        ),
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    return ['  '.join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]


def _row(result: Mapping[str, Any], timing: Mapping[str, Any]) -> list[str]:
    boundary, streaming, steady = result.get('boundary_f'), timing['streaming'], timing['latency_steady_ms']
    stream = None if streaming is None else streaming.get('miou', streaming.get('agreement'))
    return [
        result['name'],
        *map(
            _percent,
            (
                score_of(result),
                None if boundary is None else boundary['mean'],
                result['temporal_consistency'],
                stream,
                result['key_frame_rate'],
                result['flops_ratio'],
            ),
        ),
        *(f'{steady[name]:.1f}' if name in steady else '-' for name in ('p50', 'p99', 'max')),
    ]


def _percent(value: float | None) -> str:
    return '-' if value is None else f'{100 * value:.1f}'


def _faults(evaluation: Evaluation) -> list[str]:
    """Return a line for each input that is not whole, once however many configurations met it."""
    lines: dict[str, None] = {}
    for result in evaluation.results:
        for entry in result['inputs']:
            if entry['failed']:
                lines[f'not evaluated: {entry["path"]}: {entry["reason"]}'] = None
            elif entry['partial']:
                lines[f'only in part: {entry["path"]}: {entry["reason"]}'] = None
            elif entry['rejected']:
                lines[f'{entry["path"]}: {entry["rejected"]} damaged frames or masks left out'] = None
    return list(lines)


BEHIND = 0.95
"""Share of the wanted speed below which the player's own is told."""


def live_lines(results: Sequence[Mapping[str, Any]], timings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each live configuration.

    Args:
        results: Of ``summarise``, one a configuration.
        timings: Of ``summarise_timing``, in the same order.
    """
    pairs = zip(results, timings, strict=True)
    return [_line(result, timing) for result, timing in pairs if result.get('live') and result['frames']]


def _line(result: Mapping[str, Any], timing: Mapping[str, Any]) -> str:
    drops = result['drops']
    causes = ', '.join(f'{count} {cause}' for cause, count in drops.items()) or 'no drops'
    images = result['frames'] + sum(drops.values())
    delay = timing['latency_subscriber_ms']
    streaming = timing['streaming']
    age = None if streaming is None else streaming['mean_staleness_frames']
    stale = '' if age is None else f', {age:.1f} frames old on average'
    slowest = slowest_rate(timing)
    behind = f'; played at {slowest:g} only' if is_behind(result, timing) else ''
    return (
        f'live at rate {result["rate"]:g}: {result["name"]}: {result["frames"]} of {images} images answered '
        f'({causes}), at a subscriber p50 {delay["p50"]:.1f}, worst {delay["max"]:.1f} ms after the image'
        f'{stale}{behind}'
    )


def slowest_rate(timing: Mapping[str, Any]) -> float | None:
    """Return the slowest speed at which an input was played, None where nobody knows any."""
    rates = [entry.get('played_rate') for entry in timing['inputs']]
    return min((rate for rate in rates if rate is not None), default=None)


def is_behind(result: Mapping[str, Any], timing: Mapping[str, Any]) -> bool:
    """Tell whether the machine was too slow to play an input at the speed that was asked for."""
    slowest = slowest_rate(timing)
    return slowest is not None and slowest < BEHIND * result['rate']
