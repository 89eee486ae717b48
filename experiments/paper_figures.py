"""What can stand beside a published figure, by name.

A figure is ``[RUN:]MEASURE[@ARGUMENT]``: a measure of the row's configuration or of another one. ``A + B`` is
a sum, ``A / B`` a ratio, ``A % of B`` the same in per cent.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from vss_ros.errors import VssError
from vss_ros.evaluation.rows import STREAM_STARTS
from vss_ros.evaluation.sweep.verdict import score_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from vss_ros.evaluation.sweep.outputs import Evaluation

RATIOS = {' / ': 1.0, ' % of ': 100.0}


class Figure(NamedTuple):
    """One value to stand beside a published one."""

    value: float
    is_agreement: bool
    """Whether it compares with the per-frame network, as there were no masks: then it is no mIoU."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one configuration gave."""

    result: Mapping[str, Any]
    """Of ``summarise``."""
    timing: Mapping[str, Any]
    """Of ``summarise_timing``."""


def runs_by_name(evaluation: Evaluation) -> dict[str, Run]:
    """Return what every configuration gave."""
    pairs = zip(evaluation.results, evaluation.timings, strict=True)
    return {result['name']: Run(result, timing) for result, timing in pairs}


class _Term(NamedTuple):
    run: str
    measure: str
    argument: str


def _terms(text: str) -> Iterator[_Term]:
    """Yield the terms of a sum.

    Raises:
        VssError: No such measure, or an argument that it does not take.
    """
    for term in text.split(' + '):
        run, _, rest = term.strip().rpartition(':')
        measure, _, argument = rest.partition('@')
        if measure not in MEASURES:
            raise VssError(f'expected a figure out of {", ".join(MEASURES)}, got {measure!r}')
        takes = {'@part': bool(argument), '@frames': argument.isdecimal(), '': not argument}
        if not takes[MEASURES[measure].argument]:
            raise VssError(f'expected {measure}{MEASURES[measure].argument}, got {rest!r}')
        yield _Term(run, measure, argument)


def _split(figure: str) -> tuple[str, str, float]:
    """Return what is above and below the line, and the factor."""
    for sign, factor in RATIOS.items():
        above, found, below = figure.partition(sign)
        if found:
            return above, below, factor
    return figure, '', 1.0


def runs_of(figure: str) -> set[str]:
    """Return the configurations that a figure names besides the row's own.

    Raises:
        VssError: It is no figure.
    """
    above, below, _ = _split(figure)
    return {term.run for part in (above, below) if part for term in _terms(part) if term.run}


def figure_of(figure: str, row_run: str, runs: Mapping[str, Run]) -> Figure | None:
    """Return a figure, None where it was not measured.

    Args:
        figure: As described above; empty for none.
        row_run: The configuration of terms that name none.
        runs: What every configuration gave.

    """
    above, below, factor = _split(figure)
    values = [_sum(part, row_run, runs) for part in (above, below) if part]
    first, second = (*values, Figure(1.0, is_agreement=False))[:2] if values else (None, None)
    if first is None or second is None or not second.value:
        return None
    return Figure(factor * first.value / second.value, first.is_agreement or second.is_agreement)


def _sum(text: str, row_run: str, runs: Mapping[str, Run]) -> Figure | None:
    total, agreement = 0.0, False
    for term in _terms(text):
        run = runs.get(term.run or row_run)
        measure = MEASURES[term.measure]
        value = None if run is None else measure.read(run, term.argument)
        if run is None or value is None:
            return None
        total += value
        agreement |= measure.is_accuracy and run.result['truth'] == 'per_frame'
    return Figure(total, agreement)


class _Measure(NamedTuple):
    read: Callable[[Run, str], float | None]
    is_accuracy: bool = False
    argument: str = ''


def _score(run: Run, _: str) -> float | None:
    return _percent(score_of(run.result))


def _key_frames(run: Run, _: str) -> float | None:
    return _percent(run.result['key_frame_rate'])


def _pda(run: Run, distance: str) -> float | None:
    return _percent(run.result.get('pda', {}).get(distance))


def _pda_mean(run: Run, furthest: str) -> float | None:
    return _mean_of([_pda(run, str(distance)) for distance in range(1, int(furthest) + 1)])


def _average(run: Run, interval: str) -> float | None:
    return _mean_of([_pda(run, str(distance)) for distance in range(int(interval))])


def _minimum(run: Run, interval: str) -> float | None:
    return _pda(run, str(int(interval) - 1))


def _mean_ms(run: Run, _: str) -> float | None:
    """Return the mean latency, which the paper calls average runtime."""
    by_input = [iter(entry['latency_ms']) for entry in run.timing['inputs']]
    times = [(row['reason'], next(by_input[row['input']])) for row in run.result['decisions']]
    steady = [ms for reason, ms in times if reason not in STREAM_STARTS]
    return fmean(steady) if steady else None


def _fps(run: Run, _: str) -> float | None:
    mean = _mean_ms(run, '')
    return 1e3 / mean if mean else None


def _worst_ms(run: Run, _: str) -> float | None:
    return _optional(run.timing['latency_steady_ms'].get('max'))


def _nonkey_ms(run: Run, _: str) -> float | None:
    return _optional(run.timing['latency_nonkey_ms'].get('p50'))


def _nonkey_fps(run: Run, _: str) -> float | None:
    milliseconds = _nonkey_ms(run, '')
    return 1e3 / milliseconds if milliseconds else None


def _part_ms(run: Run, part: str) -> float | None:
    return _optional(run.timing['parts_ms'].get(part, {}).get('p50'))


def _nonkey_gmacs(run: Run, _: str) -> float | None:
    """Return multiply-adds, which most of the papers call FLOPs; a multiply-add is two operations."""
    operations = run.result['gflops_nonkey']
    return None if operations is None else float(operations) / 2


MEASURES: dict[str, _Measure] = {
    'miou': _Measure(_score, is_accuracy=True),
    'pda': _Measure(_pda, is_accuracy=True, argument='@frames'),
    'pda_mean': _Measure(_pda_mean, is_accuracy=True, argument='@frames'),
    'average': _Measure(_average, is_accuracy=True, argument='@frames'),
    'minimum': _Measure(_minimum, is_accuracy=True, argument='@frames'),
    'key_frames': _Measure(_key_frames),
    'mean_ms': _Measure(_mean_ms),
    'worst_ms': _Measure(_worst_ms),
    'nonkey_ms': _Measure(_nonkey_ms),
    'part_ms': _Measure(_part_ms, argument='@part'),
    'fps': _Measure(_fps),
    'nonkey_fps': _Measure(_nonkey_fps),
    'nonkey_gmacs': _Measure(_nonkey_gmacs),
}
"""In per cent ``miou``, ``key_frames`` and those of PDA: ``pda@D`` at distance D, ``pda_mean@D`` over
distances 1 to D, ``average@L`` and ``minimum@L`` over a key-frame interval of L frames as GSVNet defines
them, all on the same frames at each distance (``pda: true``). In milliseconds
``part_ms@PART`` and ``nonkey_ms``, medians, ``mean_ms`` and ``worst_ms``, of all frames at which no stream
begins."""


def _mean_of(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)
