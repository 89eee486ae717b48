"""The accuracy page's curves as a picture: PDA of the default's propagations, and schedulers by rate."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from vss_ros.evaluation.report.drawing import COLOURS, MARKERS, drawn, new_figure, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

Curves = dict[str, dict[int, float]]
"""Figures in per cent by name, and by distance or interval in frames."""


class Panel(NamedTuple):
    """What stands beside others in the picture."""

    table: str
    """Markdown with columns such as ``at 3`` or ``every 5``, in frames."""
    title: str
    across: str
    """What the columns are."""


@styled
def draw(panels: Sequence[Panel]) -> bytes:
    """Return a PNG of the tables' curves."""
    figure = new_figure(4.2 * len(panels), 5.2)
    places: dict[str, int] = {}
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _draw(axes, panel, places)
    return drawn(figure, 'accuracy', ', '.join(panel.title for panel in panels)).png


def curves_of(table: str) -> Curves:
    """Return a table's curves: of its first model, by the last name in a row."""
    head, _, *lines = table.splitlines()
    columns = _cells(head)
    places = [int(found[1]) if (found := re.fullmatch(r'(?:at|every) (\d+)', c)) else 0 for c in columns]
    named = places.index(next(filter(None, places))) - 1
    rows = [_cells(line) for line in lines]
    return {
        row[named]: {at: float(cell.split()[0]) for at, cell in zip(places, row, strict=True) if at}
        for row in rows
        if named == 0 or row[0] == rows[0][0]
    }


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip('| ').split('|')]


def _draw(axes: Axes, panel: Panel, places: dict[str, int]) -> None:
    """Draw one panel; ``places`` are those of names in colours and markers, the same in all panels."""
    curves = curves_of(panel.table)
    best = sorted(curves, key=lambda name: -max(curves[name].items())[1])  # the legend's order is the plot's
    for rank, name in enumerate(best):
        place = places.setdefault(name, rank)
        axes.plot(
            *zip(*curves[name].items(), strict=True),
            color=COLOURS[place % len(COLOURS)],
            marker=MARKERS[place % len(MARKERS)],
            ls='-' if place < len(COLOURS) else '--',
            ms=4,
            lw=1.2,
            label=name,
        )
    axes.set_title(panel.title)
    axes.set_xticks(list(next(iter(curves.values()))))
    axes.set_xlabel(panel.across)
    axes.set_ylabel('mIoU, %')
    axes.legend(loc='upper center', bbox_to_anchor=(0.5, -0.14), ncols=2)
