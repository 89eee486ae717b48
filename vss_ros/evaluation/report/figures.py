"""The figures of a configuration: columns for every table, with unit and meaning; the table in a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vss_ros.evaluation.sweep.summary import replays_note
from vss_ros.evaluation.sweep.verdict import score_of, sentences, slow_track_note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vss_ros.evaluation.sweep.outputs import Evaluation

    Values = Mapping[str, Any]
    Read = Callable[[Values, Values], float | None]

NONE = '\N{EN DASH}'
"""Stands for a figure that was not measured."""
BEHIND = 0.95
"""Share of the wanted speed below which a live run's player was too slow."""
TERMINAL = {
    'score': ('', ''),
    'boundary_f': ('boundary', 'F %'),
    'temporal_consistency': ('steadi-', 'ness %'),
    'streaming': ('as', 'stream %'),
    'key_frame_rate': ('key', 'frames %'),
    'flops_ratio': ('FLOPs', '%'),
    'latency_p50': ('p50', 'ms'),
    'latency_p99': ('p99', 'ms'),
    'latency_max': ('worst', 'ms'),
}
"""Columns of a terminal's table by key, each with the two lines of its head; the score has its own."""


@dataclass(frozen=True, slots=True)
class Column:
    """One figure; shares are shown in per cent."""

    key: str
    head: str
    unit: str
    about: str
    read: Read
    """From a configuration's result and timing; shares as 0..1."""
    higher_is_better: bool | None = None
    """None where it is neither."""
    digits: int = 1

    def value(self, result: Values, timing: Values) -> float | None:
        """Return the figure in the column's unit, None where it was not measured."""
        found = self.read(result, timing)
        return None if found is None else 100 * found if self.unit == '%' else found


def columns(score_name: str, *, live: bool = False) -> tuple[Column, ...]:
    """Return the columns: the score first, and beside it the steadiness, which says nothing alone.

    Args:
        score_name: ``mIoU`` or ``agreement``.
        live: Whether to add the delays at a subscriber.

    """
    return (*_accuracy(score_name), *_latencies(live=live), *_stream(score_name), *_details(score_name))


def _accuracy(score_name: str) -> tuple[Column, ...]:
    about = (
        'Mean over the classes of intersection over union, one confusion matrix over all labelled frames.'
        if score_name == 'mIoU'
        else 'mIoU against the answers of the per-frame network: nobody drew true masks.'
    )
    steadiness = (
        'mIoU of each mask with the one before, warped to it where optical flow can be trusted. '
        f'Worth nothing by itself: an empty mask is perfectly steady. Read it beside {score_name}.'
    )
    return (
        Column('score', score_name, '%', about, lambda result, _: score_of(result), True),
        Column('temporal_consistency', 'steadiness', '%', steadiness, _steadiness, True),
    )


def _latencies(*, live: bool) -> list[Column]:
    kinds = (
        ('max', 'worst', 'Worst latency of a frame'),
        ('p99', 'p99', 'Latency that 99 of 100 frames keep'),
        ('p95', 'p95', 'Latency that 95 of 100 frames keep'),
        ('p50', 'p50', 'Median latency'),
    )
    steady = '; frames at which a stream begins left out.'
    found = [
        Column(f'latency_{name}', head, 'ms', about + steady, _timing('latency_steady_ms', name), False)
        for name, head, about in kinds
    ]
    whole = ' from an image to its mask as a subscriber sees both; starts of streams included.'
    for name, head, about in (
        (('max', 'worst', 'Worst delay'), ('p50', 'p50', 'Median delay')) if live else ()
    ):
        read = _timing('latency_subscriber_ms', name)
        found.append(Column(f'subscriber_{name}', f'{head} at subscriber', 'ms', about + whole, read, False))
    return found


def _stream(score_name: str) -> tuple[Column, ...]:
    return (
        Column(
            'streaming', 'as a stream', '%',
            f'{score_name} of what a planner would have held at each labelled instant: the newest mask '
            'published by then. What was not yet published counts as wrong.',
            _streaming, True,
        ),
        Column(
            'staleness', 'age of masks', 'frames', 'Mean age of that newest mask; 1 is the best there is.',
            _timing('streaming', 'mean_staleness_frames'), False,
        ),
        Column(
            'key_frame_rate', 'key frames', '%', 'Share of frames that became key frames.',
            _result('key_frame_rate'),
        ),
        Column(
            'flops_ratio', 'FLOPs', '%',
            'Mean operations of a frame, slow track included, of those of the whole network. '
            'Optical flow by OpenCV counts none.',
            _result('flops_ratio'), False,
        ),
        Column(
            'drops', 'left out', 'frames', 'Frames without an answer: damaged, or replaced by newer ones.',
            lambda result, _: sum(result.get('drops', {}).values()), False, 0,
        ),
    )  # fmt: skip


def _details(score_name: str) -> tuple[Column, ...]:
    return (
        Column(
            'boundary_f', 'boundary F', '%',
            'F-score of class boundaries, right where the other boundary is within the tolerance.',
            _result('boundary_f', 'mean'), True,
        ),
        Column(
            'class_accuracy', 'class accuracy', '%', 'Mean over the classes of the share of pixels found.',
            _result('class_accuracy'), True,
        ),
        Column(
            'interval_minimum', 'at the farthest', '%',
            f'{score_name} of the frames farthest from their key frame.',
            _result('interval', 'minimum_miou'), True,
        ),
    )  # fmt: skip


def _result(*path: str) -> Read:
    return lambda result, _: _nested(result, path)


def _timing(*path: str) -> Read:
    return lambda _, timing: _nested(timing, path)


def _nested(values: Any, path: Sequence[str]) -> Any:
    for name in path:
        values = (values or {}).get(name)
    return values


def _streaming(_: Values, timing: Values) -> float | None:
    found = timing.get('streaming') or {}
    score: float | None = found.get('miou')
    return found.get('agreement') if score is None else score


def _steadiness(result: Values, _: Values) -> float | None:
    """Return the temporal consistency; None where there is no score to read it beside."""
    steadiness: float | None = result.get('temporal_consistency')
    return None if score_of(result) is None else steadiness


def number(value: float | None, digits: int = 1, *, sign: bool = False) -> str:
    """Return a figure as people read it, ``–`` for None, NaN and infinity."""
    if value is None or not abs(value) < float('inf'):
        return NONE
    text = f'{value:{"+" if sign else ""}.{digits}f}'
    return text.replace('-', '\N{MINUS SIGN}')


def text_of(evaluation: Evaluation) -> str:
    """Return an evaluation for a terminal: verdict, table, what was refused, faults of the inputs."""
    lines = []
    verdict = evaluation.verdict
    if verdict is not None and len(evaluation.results) > 1:
        of_times = replays_note(evaluation.results, evaluation.timings)
        lines += [*sentences(verdict, evaluation.candidates), *([of_times] if of_times else []), '']
    lines += _table(evaluation)
    pairs = zip(evaluation.results, evaluation.timings, strict=True)
    lines += [
        _live_line(result, timing) for result, timing in pairs if result.get('live') and result['frames']
    ]
    note = slow_track_note(evaluation.results, evaluation.timings)
    lines += [f'note: {note}'] if note else []
    lines += [f'refused: {entry["name"]}: {entry["reason"]}' for entry in evaluation.refused]
    return '\n'.join([*lines, *_faults(evaluation)])


def _table(evaluation: Evaluation) -> list[str]:
    """Return a line a configuration below the two lines of the head."""
    score = 'mIoU %' if evaluation.score_name == 'mIoU' else 'agree %'
    by_key = {column.key: column for column in columns(evaluation.score_name)}
    heads = TERMINAL | {'score': ('', score)}
    rows = [
        ['', *(head for head, _ in heads.values())],
        ['configuration', *(unit for _, unit in heads.values())],
    ]
    for result, timing in zip(evaluation.results, evaluation.timings, strict=True):
        values = (by_key[key].value(result, timing) for key in heads)
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
    age = _nested(timing, ('streaming', 'mean_staleness_frames'))
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
