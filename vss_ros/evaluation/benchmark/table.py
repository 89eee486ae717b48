"""A benchmark's rows as a table for the terminal and as a plot."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from matplotlib.ticker import LogLocator

from vss_ros.command_line import printable
from vss_ros.engine.option import written_size
from vss_ros.evaluation.report.drawing import COLOURS, OTHERS, drawn, new_figure, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vss_ros.evaluation.benchmark.benchmark import Row

HEAD = (
    ('', 'runtime', 'p50', 'p95', 'p99', 'max', 'of same', 'of best', 'GFLOP', 'memory', 'CPU', 'key'),
    ('', '', 'ms', 'ms', 'ms', 'ms', 'runtime', 'network', 'a frame', 'MB', 's per s', 'frames %'),
)
MOST_LETTERS = 48
COLOUR = {'per_frame': COLOURS[0], 'own': COLOURS[1], 'propagation': COLOURS[2]}
MEANING = {
    'per_frame': 'network on every frame', 'own': 'your network on every frame', 'propagation': 'propagation'
}  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text, those of each size and number of threads under a heading of their own."""
    lines = []
    for (size, threads), group in groupby(rows, lambda row: (row.size, row.threads)):
        found = [[*HEAD[0]], [*HEAD[1]], *map(_cells, group)]
        widths = [max(map(len, column)) for column in zip(*found, strict=True)]
        lines += [f'network input {written_size(size)}, {threads} thread(s) a track']
        for name, runtime, *figures in found:
            left = (name.ljust(widths[0]), runtime.ljust(widths[1]))
            lines.append('  '.join([*left, *map(str.rjust, figures, widths[2:])]).rstrip())
        lines.append('')
    return '\n'.join(lines)


def _cells(row: Row) -> list[str]:
    def text(value: float | None, digits: int) -> str:
        return '-' if value is None else f'{value:.{digits}f}'

    return [
        row.name + ' *' * bool(row.faults), f'{row.runtime} {row.precision}',
        *(text(row.latency_ms[name], 1) for name in ('p50', 'p95', 'p99', 'max')),
        text(row.ratio_same_runtime, 2), text(row.ratio_best, 2), text(row.gflops, 1),
        text(row.memory_mb, 0), text(row.cpu_s_per_s, 2),
        text(100 * row.key_frame_rate, 0) if row.kind == 'propagation' else '-',
    ]  # fmt: skip


@styled
def plot(rows: Sequence[Row]) -> bytes:
    """Return a PNG: of every row a dot at p50, a line to p99 and a stroke at the worst frame."""
    groups = [(key, list(group)) for key, group in groupby(rows, lambda row: (row.size, row.threads))]
    heights = [len(group) + 4 for _, group in groups]
    figure = new_figure(9, 0.19 * sum(heights) + 0.4)
    places = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, ((size, threads), group) in zip(places, groups, strict=True):
        seen = set()
        for place, row in enumerate(group):
            colour = COLOUR[row.kind] if row.runtime != 'torch' else OTHERS
            times = row.latency_ms
            axes.hlines(place, times['p50'], times['p99'], color=colour, lw=2)
            axes.plot(times['max'], place, '|', color=colour)
            name = MEANING[row.kind] if row.runtime != 'torch' else 'in PyTorch'
            axes.plot(times['p50'], place, 'o', color=colour, ms=5, label=None if name in seen else name)
            seen.add(name)
        names = [f'{printable(row.name)[:MOST_LETTERS]}  {row.runtime} {row.precision}' for row in group]
        axes.set_yticks(range(len(group)), names, fontsize=7)
        axes.set_ylim(len(group), -1)
        axes.set_xscale('log')
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter('{x:g}')
        axes.xaxis.set_minor_formatter('')
        axes.set_title(f'input {written_size(size)}, {threads} thread(s) a track')
        axes.set_xlabel('ms a frame (log scale): median, line to p99, stroke at the worst')
        axes.legend()
    return drawn(figure, 'benchmark', 'milliseconds a frame of every contender').png
