"""The papers' tables, row by row, with a sweep's figures beside the published ones.

Reads the results that ``vss evaluate -o DIR --sweep config/experiments/paper_tables.yaml`` wrote, prints the
tables and writes them to DIR/tables.md. The section ``tables`` of that file says which tables there are, what
was published and which configuration stands beside which row; ``paper_figures`` knows the figures that a
column can show.

Examples:
  python -m experiments.paper_tables out
  python -m experiments.paper_tables out --tables my_sweep.yaml
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from math import floor, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from experiments.paper_figures import figure_of, runs_by_name, runs_of
from vss_ros.errors import VssError
from vss_ros.evaluation.sweep.outputs import read_evaluation
from vss_ros.files import write_text
from vss_ros.resources import resource

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from experiments.paper_figures import Run
    from vss_ros.evaluation.sweep.outputs import Evaluation


TABLE_KEYS = ('paper', 'number', 'title', 'data', 'note', 'columns', 'rows')
ROW_KEYS = ('name', 'paper', 'run', 'not_built', 'note', 'figures')
Published = float | str | None


@dataclass(frozen=True)
class PaperRow:
    """One row of a paper's table, or one of this project's own below them."""

    name: str
    """As the paper calls it."""
    paper: tuple[Published, ...] = ()
    """Published figures by column, None where the paper has a dash; empty for a row of this project's own."""
    run: str = ''
    """Name of the configuration that stands beside it; empty where nothing does."""
    not_built: str = ''
    """Why nothing stands beside it."""
    note: str = ''
    """How what stands beside it differs."""
    figures: Mapping[str, str] = field(default_factory=dict)
    """By column, what is taken in place of the column's figure."""


@dataclass(frozen=True)
class PaperTable:
    """One table of a paper."""

    paper: str
    number: str
    """Such as ``Table 1``."""
    title: str
    data: str
    """What the published figures were measured on."""
    columns: Mapping[str, str]
    """Figure by heading (see ``paper_figures``), empty where this project has none."""
    rows: tuple[PaperRow, ...]
    note: str = ''


def read_tables(path: Path | None, names: Collection[str]) -> dict[str, PaperTable]:
    """Return the tables of a sweep file by name, none where the file has none or there is no file.

    Args:
        path: The sweep file.
        names: Configurations of the sweep, those included that cannot run.

    Raises:
        VssError: The file is not readable, or a table is not laid out as described or names a configuration
            that is not in the sweep.
    """
    if path is None:
        return {}
    try:
        sweep = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise VssError(f'{path}: not a readable sweep: {error}') from error
    raw = (sweep.get('tables') if isinstance(sweep, dict) else None) or {}
    try:
        if not isinstance(raw, dict):
            raise VssError(f'tables: expected a name for each table, got {type(raw).__name__}')
        return {str(name): _table(str(name), values, names) for name, values in raw.items()}
    except VssError as error:
        raise VssError(f'{path}: {error}') from error


def _table(name: str, raw: Any, names: Collection[str]) -> PaperTable:
    values = _mapping(f'table {name}', raw, TABLE_KEYS, needed=tuple(k for k in TABLE_KEYS if k != 'note'))
    columns = _mapping(f'table {name}, columns', values['columns'])
    if not isinstance(values['rows'], list) or not values['rows']:
        raise VssError(f'table {name}: expected a list of rows, got {values["rows"]!r}')
    columns = {str(head): figure or '' for head, figure in columns.items()}
    rows = tuple(_row(f'table {name}', row, columns) for row in values['rows'])
    for row in rows:
        _check_runs(f'table {name}, row {row.name}', row, columns, names)
    texts = {key: str(values[key]) for key in TABLE_KEYS if key in values and key not in ('columns', 'rows')}
    return PaperTable(columns=columns, rows=rows, **texts)


def _row(table: str, raw: Any, columns: Mapping[str, str]) -> PaperRow:
    values = _mapping(f'{table}, a row', raw, ROW_KEYS, needed=('name',))
    where = f'{table}, row {values["name"]}'
    paper = values.get('paper', [])
    if not isinstance(paper, list) or not all(isinstance(v, int | float | str | None) for v in paper):
        raise VssError(f'{where}: expected a list of published figures, got {paper!r}')
    if paper and len(paper) != len(columns):
        raise VssError(f'{where}: expected a published figure or null for {_list(columns)}, got {len(paper)}')
    figures = _mapping(f'{where}, figures', values.get('figures', {}))
    unknown = [str(head) for head in figures if head not in columns]
    if unknown:
        raise VssError(f'{where}: expected figures for {_list(columns)}, got {_list(unknown)}')
    if ('run' in values) == ('not_built' in values):
        raise VssError(f'{where}: expected either run, a configuration, or not_built, the reason')
    if not paper and 'run' not in values:
        raise VssError(f'{where}: expected published figures or a run, got neither')
    texts = {key: str(values[key]) for key in ('name', 'run', 'not_built', 'note') if key in values}
    return PaperRow(paper=tuple(paper), figures={str(h): f or '' for h, f in figures.items()}, **texts)


def _check_runs(where: str, row: PaperRow, columns: Mapping[str, str], names: Collection[str]) -> None:
    """Refuse unknown figures, and configurations that are not in the sweep."""
    try:
        figures = {**columns, **row.figures}.values() if row.run else ()
        wanted = {run for figure in figures if figure for run in runs_of(figure)} | ({row.run} - {''})
    except VssError as error:
        raise VssError(f'{where}: {error}') from error
    missing = sorted(run for run in wanted if run not in names)
    if missing:
        raise VssError(
            f"{where}: expected one of the sweep's configurations, got {_list(missing)}; one that does the "
            'same as another goes by the name of the first'
        )


def _mapping(
    where: str, raw: Any, known: Collection[str] = (), needed: Collection[str] = ()
) -> dict[Any, Any]:
    if not isinstance(raw, dict):
        raise VssError(f'{where}: expected names with values, got {raw!r}')
    unknown = [str(key) for key in raw if known and key not in known]
    if unknown:
        raise VssError(f'{where}: expected {_list(known)}, got {_list(unknown)}')
    missing = [key for key in needed if not raw.get(key)]
    if missing:
        raise VssError(f'{where}: expected {_list(missing)} too, got {_list(raw)}')
    return raw


def _list(words: Collection[Any]) -> str:
    return ', '.join(map(str, words))


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
    text = (
        '\n\n'.join([_here(runs), *(_table_text(table, runs, refused) for table in tables.values())]) + '\n'
    )
    if folder is not None:
        write_text(folder / FILE, text)
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


def _table_text(table: PaperTable, runs: Mapping[str, Run], refused: Mapping[str, str]) -> str:
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        'python -m experiments.paper_tables',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('results', type=Path, metavar='DIR', help='results of vss evaluate -o DIR')
    parser.add_argument(
        '--tables',
        type=Path,
        metavar='FILE',
        default=resource('config', 'experiments', 'paper_tables.yaml'),
        help='the sweep file, with its section tables (default: config/experiments/paper_tables.yaml)',
    )
    options = parser.parse_args(argv)
    try:
        evaluation = read_evaluation(options.results)
        names = {entry['name'] for entry in (*evaluation.results, *evaluation.refused)}
        tables = read_tables(options.tables, names)
        if not tables:
            raise VssError(f'{options.tables}: expected a section tables, got none')
    except VssError as error:
        sys.stderr.write(f'{error}\n')
        return 2
    print(tables_text(tables, evaluation, options.results), end='')
    return 0


if __name__ == '__main__':
    sys.exit(main())
