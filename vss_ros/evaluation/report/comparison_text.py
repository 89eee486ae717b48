"""A comparison as people read it: in a terminal, and as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vss_ros.evaluation.report.comparison import BETTER, WORSE
from vss_ros.evaluation.report.figures import columns, number
from vss_ros.evaluation.report.page import render

if TYPE_CHECKING:
    from vss_ros.evaluation.report.comparison import Change, Comparison, Pair

FIGURES = ('before', 'after', 'difference', 'judgement')
ABOUT = (
    'Judged are score and median latency, by the differences of the same frames in blocks of about a second: '
    'better and worse are beyond 95 % confidence (latency: and beyond 5 %). That says how sure a difference '
    'is on these inputs, not on other streets. The other figures have no value a frame and are not judged.'
)


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
