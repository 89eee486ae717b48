"""A comparison as people read it: in a terminal, and as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vss_ros.evaluation.report.columns import columns
from vss_ros.evaluation.report.comparison import BETTER, WORSE
from vss_ros.evaluation.report.markup import element, number
from vss_ros.evaluation.report.page import page, paragraphs, section, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vss_ros.evaluation.report.comparison import Change, Comparison, Pair
    from vss_ros.evaluation.report.markup import Content

ABOUT = (
    'Judged are score and median latency, by the differences of the same frames in blocks of about a second: '
    'better and worse are beyond 95 % confidence (latency: and beyond 5 %). That says how sure a difference '
    'is on these inputs, not on other streets. The other figures have no value a frame and are not judged.'
)


def text_of(comparison: Comparison) -> str:
    """Return a line a configuration and figure that differs, what is in one only, and what to beware of."""
    lines = []
    for pair in comparison.pairs:
        lines.append(_name(pair))
        # The score is always there: no other figure, least of all steadiness, is to be read without it.
        lines += [
            f'  {_line(change)}'
            for key, change in pair.changes.items()
            if key == 'score' or change.before != change.after
        ]
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
    heads: list[Content] = ['configuration', *(element('span', f'{c.head}, {c.unit}') for c in shown)]
    rows = [
        [_name(pair), *(_cell(pair.changes[column.key]) for column in shown)] for pair in comparison.pairs
    ]
    return page(
        'Two evaluations compared',
        [
            element('h1', 'Two evaluations compared'),
            element('p', 'Before: ', element('code', before), ', after: ', element('code', after)),
            paragraphs([*comparison.notes, *_lonely(comparison)], 'notice'),
            section('What changed', element('p', summary, class_='answer'), _table(heads, rows)),
            element('p', ABOUT, class_='soft'),
        ],
    )


def _table(heads: Sequence[Content], rows: Sequence[Sequence[Content]]) -> Content:
    return table('Figures after, and their difference', heads, rows)


def _name(pair: Pair) -> str:
    return pair.after.name if pair.same_settings else f'{pair.after.name} (settings differ)'


def _cell(change: Change) -> Content:
    """Return the figure after, with the difference and its judgement."""
    digits = change.column.digits
    if change.difference is None:
        return f'{number(change.before, digits)} → {number(change.after, digits)}'
    colour = change.judgement if change.judgement in {BETTER, WORSE} else 'soft'
    text = f' {number(change.difference, digits, sign=True)} {change.judgement}'.rstrip()
    return element('span', number(change.after, digits), element('span', text, class_=colour))


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
                    key: {
                        'before': change.before,
                        'after': change.after,
                        'difference': change.difference,
                        'judgement': change.judgement,
                    }
                    for key, change in pair.changes.items()
                },
            }
            for pair in comparison.pairs
        ],
        'only_before': comparison.only_before,
        'only_after': comparison.only_after,
        'notes': comparison.notes,
    }
