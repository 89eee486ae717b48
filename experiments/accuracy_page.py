"""The accuracy page's curves as a picture: PDA of the default's propagations, and schedulers by rate."""

from __future__ import annotations

import platform
import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from vss_ros.errors import VssError
from vss_ros.evaluation.report.drawing import COLOURS, MARKERS, drawn, new_figure, styled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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


Row = dict[str, Any]
Section = tuple[str, str]
"""What a table was measured with, and the table."""
DECIMALS = {'rank correlation': 3, 'pixels': 2}
"""Of columns that are no per cent."""
ACROSS = 'one key frame in so many'
DRAWN = {
    'propagation': ('PDA of the default model, val', 'frames since the key frame'),
    'schedulers': ('schedulers at equal rates, val', ACROSS),
    'varied_schedulers': ('the same, simulated drives', ACROSS),
}
"""Tables that are curves: title, and what goes across."""


def page(
    tables: Mapping[str, Sequence[Row]],
    headings: Mapping[str, str],
    command: str,
    before: str = '',
    only: Sequence[str] = (),
) -> str:
    """Return the Markdown page of all tables.

    Args:
        tables: Measured ones, by name.
        headings: Of all tables by name, in the page's order.
        command: That makes them all.
        before: A former page, whose other tables stay as they are.
        only: Propagations that alone were measured; the former page's curves of others stay, too.

    Raises:
        VssError: The former page is of another form.

    """
    parts = ['# Accuracy of the shipped weights', f'Made by `{command}`. Do not edit.']
    sections = sections_of(before)
    for name, rows in tables.items():
        if rows:
            measured, former = (_machine(), markdown(rows)), sections.get(headings[name])
            sections[headings[name]] = _with_rows(former, measured, only) if only and former else measured
    for heading in headings.values():
        if heading in sections:
            parts += [f'## {heading}', *sections[heading]]
    return '\n\n'.join(parts) + '\n'


def picture(text: str, headings: Mapping[str, str]) -> bytes:
    """Return a PNG of the curves that a page has."""
    sections = sections_of(text)
    shown = ((sections.get(headings[name]), words) for name, words in DRAWN.items())
    return draw([Panel(section[1], *words) for section, words in shown if section])


def heading_of(docstring: str) -> str:
    """Return the heading of what a function says that it yields."""
    heading = docstring.removeprefix('Yield ').split('.')[0]
    return heading[0].upper() + heading[1:]


def markdown(rows: Sequence[Row]) -> str:
    """Return rows with equal keys as a Markdown table; numbers with the decimals that mean something."""
    heads = list(rows[0])
    lines = ['| ' + ' | '.join(heads) + ' |', '| ' + ' | '.join('---' for _ in heads) + ' |']
    lines += ['| ' + ' | '.join(_cell(head, row[head]) for head in heads) + ' |' for row in rows]
    return '\n'.join(lines)


def sections_of(text: str) -> dict[str, Section]:
    """Return a page's sections by heading.

    Raises:
        VssError: A section is not what it was measured with, and a table.

    """
    found = [section.strip().split('\n\n') for section in text.split('\n## ')[1:]]
    if any(len(section) != 3 for section in found):
        msg = 'expected a page that this command wrote, got one with other sections; leave out --update'
        raise VssError(msg)
    return {heading: (machine, table) for heading, machine, table in found}


def _with_rows(former: Section, measured: Section, only: Sequence[str]) -> Section:
    """Return a former section in which measured rows stand for those of the same names."""
    machine, table = former
    if measured[0] not in machine:
        machine = f'{machine}; {", ".join(only)}: {measured[0]}'
    rows = {_names(line): line for section in (table, measured[1]) for line in section.splitlines()}
    return machine, '\n'.join(rows.values())


def _names(line: str) -> tuple[str, ...]:
    """Return the cells of a table's line that are no figures."""
    return tuple(cell for cell in line.split(' | ') if not cell.strip(' |').replace('.', '').isdigit())


def _cell(head: str, value: Any) -> str:
    if isinstance(value, float):
        return f'{value:.{DECIMALS.get(head, 1)}f}'
    return str(value)


def _machine() -> str:
    return f'PyTorch {version("torch")}, {platform.machine()} CPU, {torch.get_num_threads()} threads'
