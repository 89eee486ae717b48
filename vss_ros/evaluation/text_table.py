"""An evaluation as people read it in a terminal: the verdict first, then one line a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vss_ros.evaluation.latency import replays_note
from vss_ros.evaluation.live_text import live_lines
from vss_ros.evaluation.verdict import score_of, sentences, slow_track_note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vss_ros.evaluation.outputs import Evaluation

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
