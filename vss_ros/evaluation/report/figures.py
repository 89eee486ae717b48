"""The figures of a configuration: columns for every table, with unit and meaning; the table in a terminal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vss_ros.evaluation.metrics import METRICS, Column
from vss_ros.evaluation.sweep.summary import replays_note
from vss_ros.evaluation.sweep.verdict import sentences, slow_track_note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vss_ros.evaluation.sweep.outputs import Evaluation

    Values = Mapping[str, Any]

NONE = '\N{EN DASH}'
"""Stands for a figure that was not measured."""
BEHIND = 0.95
"""Share of the wanted speed below which a live run's player was too slow."""
TERMINAL = (
    'score', 'boundary_f', 'temporal_consistency', 'streaming', '', 'key_frame_rate', 'flops_ratio',
    'latency_p50', 'latency_p99', 'latency_max',
)  # fmt: skip
"""Columns of a terminal's table in order, by key; metrics that are not named stand in the empty place."""
STEADY = '; frames at which a stream begins left out.'
WHOLE = ' from an image to its mask as a subscriber sees both; starts of streams included.'

LATENCIES = tuple(
    Column(
        f'latency_{figure}', ('latency_steady_ms', figure), head, about + STEADY, unit='ms',
        higher_is_better=False, short=None if figure == 'p95' else (head, 'ms'),
    )
    for figure, head, about in (
        ('max', 'worst', 'Worst latency of a frame'),
        ('p99', 'p99', 'Latency that 99 of 100 frames keep'),
        ('p95', 'p95', 'Latency that 95 of 100 frames keep'),
        ('p50', 'p50', 'Median latency'),
    )
)  # fmt: skip
DELAYS = tuple(
    Column(
        f'subscriber_{figure}', ('latency_subscriber_ms', figure), f'{head} at subscriber', about + WHOLE,
        unit='ms', higher_is_better=False,
    )
    for figure, head, about in (('max', 'worst', 'Worst delay'), ('p50', 'p50', 'Median delay'))
)  # fmt: skip
COSTS = (
    Column(
        'key_frame_rate', ('key_frame_rate',), 'key frames', 'Share of frames that became key frames.',
        higher_is_better=None, short=('key', 'frames %'),
    ),
    Column(
        'flops_ratio', ('flops_ratio',), 'FLOPs',
        'Mean operations of a frame, slow track included, of those of the whole network. '
        'Optical flow by OpenCV counts none.',
        higher_is_better=False, short=('FLOPs', '%'),
    ),
    Column(
        'drops', ('drops',), 'left out', 'Frames without an answer: damaged, or replaced by newer ones.',
        unit='frames', higher_is_better=False, digits=0,
    ),
)  # fmt: skip
AGREEMENT = 'mIoU against the answers of the per-frame network, as there are no true masks.'


def columns(score_name: str, *, live: bool = False) -> tuple[Column, ...]:
    """Return the columns, of live runs with the delays at a subscriber, for ``mIoU`` or ``agreement``.

    The score is the first, and beside it the steadiness, which says nothing alone.
    """
    metrics = {column.key: column.named(score_name) for member in METRICS for column in member.cls.columns}
    if score_name == 'agreement':
        metrics['score'] = replace(metrics['score'], about=AGREEMENT)
    first = [metrics.pop(key) for key in ('score', 'temporal_consistency')]
    stream = [metrics.pop(key) for key in ('streaming', 'staleness')]
    delays = DELAYS if live else ()
    return (*first, *LATENCIES, *delays, *stream, *COSTS, *metrics.values())


def number(value: float | None, digits: int = 1, *, sign: bool = False) -> str:
    """Return a figure as people read it, ``–`` for None, NaN and infinity."""
    if value is None or not abs(value) < float('inf'):
        return NONE
    return f'{value:{"+" if sign else ""}.{digits}f}'.replace('-', '\N{MINUS SIGN}')


def text_of(evaluation: Evaluation) -> str:
    """Return an evaluation for a terminal: verdict, table, what was refused, faults of the inputs."""
    lines = []
    verdict = evaluation.verdict
    if verdict is not None and len(evaluation.results) > 1:
        of_times = replays_note(evaluation.results, evaluation.timings)
        lines += [*sentences(verdict, evaluation.candidates), *([of_times] if of_times else []), '']
    lines += _table(evaluation)
    pairs = zip(evaluation.results, evaluation.timings, strict=True)
    lines += [_live_line(result, times) for result, times in pairs if result.get('live') and result['frames']]
    if note := slow_track_note(evaluation.results, evaluation.timings):
        lines.append(f'note: {note}')
    lines += [f'refused: {entry["name"]}: {entry["reason"]}' for entry in evaluation.refused]
    return '\n'.join([*lines, *_faults(evaluation)])


def _table(evaluation: Evaluation) -> list[str]:
    """Return a line a configuration below the two lines of the head."""
    places = {key: place for place, key in enumerate(TERMINAL)}
    shown = [column for column in columns(evaluation.score_name) if column.short]
    shown.sort(key=lambda column: places.get(column.key, places['']))
    heads = [column.short or ('', '') for column in shown]
    rows = [['', *(head for head, _ in heads)], ['configuration', *(unit for _, unit in heads)]]
    for result, timing in zip(evaluation.results, evaluation.timings, strict=True):
        values = (column.value(result, timing) for column in shown)
        rows.append([result['name'], *('-' if value is None else f'{value:.1f}' for value in values)])
    widths = [max(map(len, texts)) for texts in zip(*rows, strict=True)]
    return ['  '.join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]


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


def _live_line(result: Values, timing: Values) -> str:
    """Return how many images of a live run were answered, and how late."""
    drops = result['drops']
    causes = ', '.join(f'{count} {cause}' for cause, count in drops.items()) or 'no drops'
    images = result['frames'] + sum(drops.values())
    delay = timing['latency_subscriber_ms']
    age = (timing['streaming'] or {}).get('mean_staleness_frames')
    stale = '' if age is None else f', {age:.1f} frames old on average'
    behind = f'; played at {slowest_rate(timing):g} only' if is_behind(result, timing) else ''
    return (
        f'live at rate {result["rate"]:g}: {result["name"]}: {result["frames"]} of {images} images answered '
        f'({causes}), at a subscriber p50 {delay["p50"]:.1f}, worst {delay["max"]:.1f} ms after the image'
        f'{stale}{behind}'
    )


def slowest_rate(timing: Values) -> float | None:
    """Return the slowest speed at which an input was played, None where it is not known of any."""
    rates = [entry.get('played_rate') for entry in timing['inputs']]
    return min((rate for rate in rates if rate is not None), default=None)


def is_behind(result: Values, timing: Values) -> bool:
    """Say whether the machine was too slow to play an input at the speed that was asked for."""
    slowest = slowest_rate(timing)
    return slowest is not None and slowest < BEHIND * result['rate']
