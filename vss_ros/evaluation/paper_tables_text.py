"""The papers' tables as Markdown that also reads well in a terminal."""

from __future__ import annotations

from math import floor, log10
from typing import TYPE_CHECKING

from vss_ros.evaluation.paper_figures import figure_of, runs_by_name
from vss_ros.evaluation.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vss_ros.evaluation.outputs import Evaluation
    from vss_ros.evaluation.paper_figures import Run
    from vss_ros.evaluation.paper_tables import PaperRow, PaperTable, Published

FILE = 'tables.md'
NOTHING = '-'
AGREEMENT = ' (a)'
SIGNIFICANT = 3
TRUTHS = {
    'masks': 'true masks of the inputs',
    'folder': 'true masks of a folder',
    'per_frame': 'agreement with the per-frame network, marked (a), which is no mIoU',
}


def tables_text(tables: Mapping[str, PaperTable], evaluation: Evaluation, folder: Path | None = None) -> str:
    """Return all tables, also written to ``FILE`` where there is a folder; nothing without tables."""
    if not tables:
        return ''
    runs = runs_by_name(evaluation)
    # The fault alone: the text table before says what was expected and the remedy.
    refused = {entry['name']: str(entry['reason']).partition(': expected')[0] for entry in evaluation.refused}
    text = '\n\n'.join([_here(runs), *(_table(table, runs, refused) for table in tables.values())]) + '\n'
    if folder is not None:
        write_whole(folder / FILE, text.encode())
    return text


def _here(runs: Mapping[str, Run]) -> str:
    """Return what this project's figures were measured on."""
    run = next(iter(runs.values()))
    inputs = [entry for entry in run.result['inputs'] if not entry['failed']]
    machine = run.timing['machine']
    paths = ', '.join(entry['path'] for entry in inputs)
    return (
        "# The papers' tables\n\n"
        f'Here: {sum(entry["frames"] for entry in inputs)} frames of {paths or "no input"}; '
        f'accuracy against {TRUTHS.get(run.result["truth"], "nothing")}; times on '
        f'{machine.get("cpu", "an unknown machine")}, '
        f'{machine.get("threads", "?")} threads, without the first frame of a stream.'
    )


def _table(table: PaperTable, runs: Mapping[str, Run], refused: Mapping[str, str]) -> str:
    """Return heading, rows and footnotes of one table."""
    notes: dict[str, int] = {}
    heads = ['']
    for head, figure in table.columns.items():
        heads += [f'{head}: paper', 'here'] if _has_ours(table, head, figure) else [f'{head}: paper']
    rows = [[*heads, 'here is']]
    for row in table.rows:
        cells = [row.name]
        for number, (head, figure) in enumerate(table.columns.items()):
            cells.append(_published(row.paper[number] if row.paper else None))
            if _has_ours(table, head, figure):
                cells.append(_ours(row.figures.get(head, figure), row, runs))
        rows.append([*cells, _source(row, runs, refused, notes)])
    lines = [f'## {table.paper}, {table.number}: {table.title}', '', f'Paper: {table.data}.', '']
    lines += _aligned(rows)
    lines += ['', *(f'[{number}] {note}  ' for note, number in notes.items())] if notes else []
    return '\n'.join([*lines, *(['', table.note] if table.note else [])])


def _has_ours(table: PaperTable, head: str, figure: str) -> bool:
    return bool(figure) or any(row.figures.get(head) for row in table.rows)


def _published(value: Published) -> str:
    return NOTHING if value is None else str(value)


def _ours(figure: str, row: PaperRow, runs: Mapping[str, Run]) -> str:
    """Return this project's figure of one cell, nothing where the row's own configuration was refused."""
    found = figure_of(figure, row.run, runs) if row.run in runs and figure else None
    if found is None:
        return NOTHING
    return _rounded(found.value) + (AGREEMENT if found.is_agreement else '')


def _rounded(value: float) -> str:
    """Return a number with three digits that mean something, or as many as stand before the point."""
    decimals = SIGNIFICANT - 1 - floor(log10(abs(value))) if value else 1
    return f'{value:.{max(decimals, 0)}f}'


def _source(row: PaperRow, runs: Mapping[str, Run], refused: Mapping[str, str], notes: dict[str, int]) -> str:
    """Return what stands beside a row, with the number of the sentence that explains it."""
    if row.not_built:
        return f'not built {_numbered(row.not_built, notes)}'
    if row.run not in runs:
        return f'{row.run}: refused {_numbered(refused.get(row.run, "not evaluated"), notes)}'
    model = runs[row.run].result['config']['segmenter']['model']
    return ' '.join([f'{row.run} ({model})', *([_numbered(row.note, notes)] if row.note else [])])


def _numbered(sentence: str, notes: dict[str, int]) -> str:
    return f'[{notes.setdefault(sentence, len(notes) + 1)}]'


def _aligned(rows: list[list[str]]) -> list[str]:
    """Return rows of Markdown, the first as heading; words to the left, figures to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    last = len(widths) - 1
    padded = [
        [
            cell.ljust(width) if i in (0, last) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in rows
    ]
    rule = ['-' * w if i in (0, last) else '-' * (w - 1) + ':' for i, w in enumerate(widths)]
    return [f'| {" | ".join(row)} |' for row in [padded[0], rule, *padded[1:]]]
