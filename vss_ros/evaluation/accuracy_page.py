"""The page that the accuracy tables stand on: written, kept in parts, and drawn."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch

from vss_ros.errors import VssError
from vss_ros.evaluation.accuracy_plot import Panel, draw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    shown = ((sections.get(headings[name]), told) for name, told in DRAWN.items())
    return draw([Panel(section[1], *told) for section, told in shown if section])


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
