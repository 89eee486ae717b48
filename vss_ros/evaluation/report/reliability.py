"""Whether confidence tells true: the reliability diagram, and what hiding unsure answers does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vss_ros.evaluation.report.drawing import COLOURS, MARKERS, OTHERS, drawn, new_axes, styled
from vss_ros.evaluation.report.figures import number

if TYPE_CHECKING:
    from vss_ros.evaluation.report.drawing import Drawing
    from vss_ros.evaluation.report.findings import Configuration

FEWEST = 0.0005
"""Share of the pixels below which a bin says nothing."""


@styled
def reliability(configuration: Configuration) -> Drawing | None:
    """Draw the share of right answers over their confidence, by age; None where nothing was counted."""
    found = (configuration.result.get('calibration') or {}).get('by_age')
    if not found:
        return None
    figure, axes = new_axes(4.4, 3.4, 'confidence, %', 'right answers, %')
    axes.plot([0, 100], [0, 100], color=OTHERS, ls='--', lw=1)
    words = []
    for (name, kind), colour, marker in zip(found.items(), COLOURS, MARKERS, strict=False):
        pixels = sum(n for _, _, n in kind['bins'])
        bins = [(100 * sure, 100 * right) for sure, right, n in kind['bins'] if n >= FEWEST * pixels]
        text = f'{name}: off by {100 * kind["ece"]:.1f} %'
        axes.plot(*zip(*bins, strict=True), color=colour, marker=marker, lw=1.6, ms=5, label=text)
        words.append(text)
    axes.legend(loc='upper left')
    alt = f'{configuration.name}: right answers by confidence. {"; ".join(words)}'
    return drawn(figure, f'reliability_{configuration.index + 1:02}', alt)


def hiding(configuration: Configuration) -> list[list[str]]:
    """Return rows of min_confidence, pixels unknown, mIoU of the rest and errors caught."""
    rows = (configuration.result.get('calibration') or {}).get('hiding', [])
    shown = [row for row in rows if row['min_confidence'] >= 0.25]
    return [
        [f'{row["min_confidence"]:.2f}', *(_share(row[key]) for key in ('unknown', 'miou', 'caught'))]
        for row in shown[::2]
    ]


def _share(value: float | None) -> str:
    return number(None if value is None else 100 * value)
