"""Two folders of results side by side: what got better or worse, and what may be chance.

The comparison comes first, then how people read it, in a terminal or as a page.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import exp, log, sqrt
from statistics import NormalDist, fmean, median, stdev
from typing import TYPE_CHECKING, Any, NamedTuple

from vss_ros.errors import VssError
from vss_ros.evaluation.report.figures import columns, number
from vss_ros.evaluation.report.findings import read_findings
from vss_ros.evaluation.rows import STREAM_STARTS
from vss_ros.evaluation.sweep.configuration import EvaluationConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from vss_ros.evaluation.metrics import Column
    from vss_ros.evaluation.report.findings import Configuration, Findings, Row

BETTER, WORSE, SAME, CHANCE, UNJUDGED = 'better', 'worse', 'same', 'may be chance', ''
LEAST_CHANGE_OF_TIME = 0.05
"""Share by which a median latency must differ to count, however sure the difference is."""
BLOCK = 15
"""Frames in a row that say much the same: about one second of a camera."""
FEWEST_BLOCKS = 6
"""With fewer nothing is said; shorter inputs have shorter blocks."""
FIGURES = ('before', 'after', 'difference', 'judgement')
ABOUT = (
    'Judged are score and median latency, by the differences of the same frames in blocks of about a second: '
    'better and worse are beyond 95 % confidence (latency: and beyond 5 %). That says how sure a difference '
    'is on these inputs, not on other streets. The other figures have no value a frame and are not judged.'
)


class Interval(NamedTuple):
    """Where a mean lies, with 95 % confidence."""

    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 where all of it is above 0, -1 where all is below, else 0: it may be chance."""
        return int(self.low > 0) - int(self.high < 0)


NO_CHANGE = Interval(0.0, 0.0)


@dataclass(frozen=True)
class Change:
    """One figure before and after."""

    column: Column
    before: float | None
    after: float | None
    judgement: str = UNJUDGED
    """Score and median latency, which have a value a frame: whether the difference is more than chance."""

    @property
    def difference(self) -> float | None:
        """After less before, in the column's unit."""
        return None if self.before is None or self.after is None else self.after - self.before


@dataclass(frozen=True)
class Pair:
    """One configuration in both."""

    before: Configuration
    after: Configuration
    same_settings: bool
    """False where only the names are the same."""
    same_frames: bool
    """Whether both scored the same frames of the same files."""
    changes: dict[str, Change]
    """By the column's key."""
    latency_ratio: float | None
    """Geometric mean over the frames of latency after by before."""


@dataclass(frozen=True)
class Comparison:
    """All configurations of two evaluations."""

    score_name: str
    pairs: list[Pair]
    only_before: list[str]
    only_after: list[str]
    notes: list[str]
    """What a reader must know before trusting any difference."""

    def dropped_by(self, points: float) -> list[str]:
        """Return the names of configurations whose score fell by more, or that nothing can be said of.

        A configuration that is missing after, or has no score any more, is among them: a check that passes
        because nothing was evaluated checks nothing.

        Args:
            points: Of the score, in per cent.
        """
        names = list(self.only_before)
        for pair in self.pairs:
            change = pair.changes['score']
            lost = change.before is not None and change.after is None
            if lost or (change.difference is not None and change.difference < -points - 1e-9):
                names.append(pair.before.name)
        return names


def compare(before: Path, after: Path) -> Comparison:
    """Compare two folders that ``vss evaluate -o`` wrote.

    Configurations are the same where their settings are, under any name; of the others, those of
    equal names are compared too, and said to differ.

    Raises:
        VssError: A folder holds no results, the scores are not of one kind, or nothing is in both.
    """
    old, new = read_findings(before), read_findings(after)
    if old.score_name != new.score_name:
        raise VssError(
            f'expected two evaluations with the same kind of score, got {old.score_name} in {before} and '
            f'{new.score_name} in {after}; evaluate with the same masks, or both with --agreement'
        )
    matched = list(_matched(old, new))
    if not matched:
        raise VssError(f'expected a configuration that is both in {before} and {after}, got none')
    pairs = [_pair(a, b, same, old.score_name) for a, b, same in matched]
    seen = {id(entry) for pair in pairs for entry in (pair.before, pair.after)}
    lonely = [[e.name for e in side.configurations if id(e) not in seen] for side in (old, new)]
    return Comparison(old.score_name, pairs, lonely[0], lonely[1], _notes(pairs))


def _matched(old: Findings, new: Findings) -> Iterator[tuple[Configuration, Configuration, bool]]:
    """Yield what to compare, and whether the settings are the same, in the order before."""
    rest = list(new.configurations)
    found: dict[int, tuple[Configuration, bool]] = {}
    for same_settings, key in ((True, _settings), (False, lambda entry: entry.name)):
        for entry in old.configurations:
            wanted = key(entry)
            match = next((other for other in rest if key(other) == wanted), None)
            if entry.index not in found and match is not None:
                rest.remove(match)
                found[entry.index] = match, same_settings
    for entry in old.configurations:
        if entry.index in found:
            yield (entry, *found[entry.index])


def _settings(entry: Configuration) -> str:
    """Return what tells two configurations apart; files of another version are as they are."""
    config: dict[str, Any] = dict(entry.result['config'])
    try:
        return EvaluationConfig.from_dict(config).digest()
    except (KeyError, TypeError):
        return str(sorted((name, str(value)) for name, value in config.items() if name != 'name'))


def _pair(before: Configuration, after: Configuration, same_settings: bool, score_name: str) -> Pair:
    rows = [_frames(before), _frames(after)]
    together = [(row, rows[1][frame]) for frame, row in rows[0].items() if frame in rows[1]]
    ratio = None
    scores = [(a['score'], b['score']) for a, b in together]
    intervals = {'score': confidence([b - a for a, b in scores if a is not None and b is not None])}
    logs = [log(b['latency_ms'] / a['latency_ms']) for a, b in together if _timed(a) and _timed(b)]
    if logs:
        ratio = exp(sum(logs) / len(logs))
        small = abs(ratio - 1) <= LEAST_CHANGE_OF_TIME
        intervals['latency_p50'] = NO_CHANGE if small else confidence(logs)
    changes = {}
    for column in columns(score_name):
        change = Change(column, before.figure(column), after.figure(column))
        changes[column.key] = replace(change, judgement=_judged(change, intervals.get(column.key)))
    return Pair(before, after, same_settings, rows[0].keys() == rows[1].keys(), changes, ratio)


def _frames(entry: Configuration) -> dict[tuple[str, int], Row]:
    """Return the rows by their input's content and number, in order of time."""
    hashes = [values['sha256'] for values in entry.result['inputs']]
    return {(hashes[row['input']], row['frame_index']): row for row in entry.rows}


def _timed(row: Row) -> bool:
    return bool(row['latency_ms']) and row['reason'] not in STREAM_STARTS


def _judged(change: Change, interval: Interval | None) -> str:
    """Return a judgement: the frames must be sure, and the total must say the same."""
    if change.difference == 0:
        return SAME
    if interval is None or change.difference is None:
        return UNJUDGED
    rose = change.difference > 0
    if interval.sign != (1 if rose else -1):
        return CHANCE
    return BETTER if rose == change.column.higher_is_better else WORSE


def _notes(pairs: list[Pair]) -> list[str]:
    notes = []
    if not all(pair.same_frames for pair in pairs):
        notes.append('Not all frames are in both: only those that are were judged, totals are over all.')
    machines = {_machine(entry.timing) for pair in pairs for entry in (pair.before, pair.after)}
    if len(machines) > 1:
        notes.append(f'Times are of different machines or settings: {"; ".join(sorted(machines))}.')
    ratios = [pair.latency_ratio for pair in pairs if pair.latency_ratio is not None]
    if len(ratios) > 2 and abs(median(ratios) - 1) > LEAST_CHANGE_OF_TIME:
        notes.append(
            f'Half of the configurations take at least {median(ratios):.2f} times as long as before: the '
            'machine may have been busier or idler, rather than the code slower or faster.'
        )
    return notes


def _machine(timing: Mapping[str, Any]) -> str:
    machine = timing.get('machine') or {}
    return f'{machine.get("cpu", "unknown")}, {machine.get("threads", "?")} thread(s)'


def confidence(differences: Sequence[float]) -> Interval | None:
    """Return the interval of the mean difference of frames in order of time, None for too few frames.

    Frames that follow one another are alike, so that blocks of them are the samples (batch means), with
    Student's quantile for their number.
    """
    size = min(BLOCK, len(differences) // FEWEST_BLOCKS)
    if size < 1:
        return None
    count = len(differences) // size
    # What is left over at the end belongs to the last block.
    bounds = [size * number for number in range(count)] + [len(differences)]
    means = [fmean(differences[start:end]) for start, end in pairwise(bounds)]
    half = student_quantile(count - 1) * stdev(means) / sqrt(count)
    middle = fmean(differences)
    return Interval(middle - half, middle + half)


def student_quantile(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t (Fisher's expansion, 0.2 % off at 5 degrees of freedom)."""
    z = NormalDist().inv_cdf(0.975)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def text_of(comparison: Comparison) -> str:
    """Return a line a configuration and figure that differs, what is in one only, and what to beware of."""
    lines = []
    for pair in comparison.pairs:
        # The score is always there: no other figure, least of all steadiness, is to be read without it.
        shown = [c for key, c in pair.changes.items() if key == 'score' or c.before != c.after]
        lines += [_name(pair), *(f'  {_line(change)}' for change in shown)]
    return '\n'.join([*lines, *_lonely(comparison), *(f'note: {note}' for note in comparison.notes)])


def _line(change: Change) -> str:
    column = change.column
    before, after = (number(value, column.digits) for value in (change.before, change.after))
    difference = number(change.difference, column.digits, sign=True)
    figures = f'{before:>8} → {after:>7} {column.unit:<7}{difference:>8}'
    return f'{column.head:<16}{figures}  {change.judgement}'.rstrip()


def _lonely(comparison: Comparison) -> list[str]:
    sides = (('before', comparison.only_before), ('after', comparison.only_after))
    return [f'only {side}: {", ".join(names)}' for side, names in sides if names]


def page_of(comparison: Comparison, before: str, after: str) -> str:
    """Return a page with one table; before and after are what the two are called."""
    from vss_ros.evaluation.report.writing import render  # imports Matplotlib, which is slow

    counted = [
        sum(pair.changes[key].judgement == judgement for pair in comparison.pairs)
        for key in ('score', 'latency_p50')
        for judgement in (BETTER, WORSE)
    ]
    summary = (
        f'Of {len(comparison.pairs)} configurations {comparison.score_name} is better in {counted[0]} and '
        f'worse in {counted[1]}, median latency better in {counted[2]} and worse in {counted[3]}; the rest '
        'is the same or may be chance.'
    )
    shown = columns(comparison.score_name)
    return render(
        'comparison.html',
        title='Two evaluations compared',
        before=before,
        after=after,
        notices=[*comparison.notes, *_lonely(comparison)],
        summary=summary,
        heads=['configuration', *(f'{column.head}, {column.unit}' for column in shown)],
        rows=[[_name(pair), *(_cell(pair.changes[c.key]) for c in shown)] for pair in comparison.pairs],
        about=ABOUT,
    )


def _name(pair: Pair) -> str:
    return pair.after.name if pair.same_settings else f'{pair.after.name} (settings differ)'


def _cell(change: Change) -> dict[str, str]:
    """Return the figure after, with the difference and its judgement."""
    digits = change.column.digits
    after = number(change.after, digits)
    if change.difference is None:
        return {'figure': f'{number(change.before, digits)} → {after}', 'change': ''}
    text = f'{number(change.difference, digits, sign=True)} {change.judgement}'.rstrip()
    colour = change.judgement if change.judgement in {BETTER, WORSE} else 'soft'
    return {'figure': after, 'change': text, 'colour': colour}


def for_machines(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as plain values, in the tables' units."""
    return {
        'score': comparison.score_name,
        'configurations': [
            {
                'name': pair.after.name,
                'name_before': pair.before.name,
                'same_settings': pair.same_settings,
                'same_frames': pair.same_frames,
                'latency_ratio': pair.latency_ratio,
                'figures': {
                    key: {name: getattr(change, name) for name in FIGURES}
                    for key, change in pair.changes.items()
                },
            }
            for pair in comparison.pairs
        ],
        'only_before': comparison.only_before,
        'only_after': comparison.only_after,
        'notes': comparison.notes,
    }
