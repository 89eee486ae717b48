"""README's plot: accuracy against worst latency, of the network on every frame and of every system.

Reads what `vss evaluate BAG -o DIR --live --sweep config/experiments/plot.yaml` wrote. Squares are the
network on every frame in each runtime, filled marks the systems, hollow ones what their papers promise: their
share of the cost of PyTorch at f32, and their loss of accuracy.

Examples:
  python -m experiments.latency_plot out -o docs/latency.png
  python -m experiments.latency_plot out -o latency.png --sweep my_sweep.yaml
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from vss_ros.command_line import add, new_parser
from vss_ros.engine.propagation.base import NO_PROPAGATION
from vss_ros.errors import VssError
from vss_ros.evaluation.report.drawing import (
    COLOURS,
    INK,
    MARKERS,
    OTHERS,
    drawn,
    new_axes,
    place_labels,
    styled,
)
from vss_ros.evaluation.sweep.outputs import read_evaluation
from vss_ros.files import write_whole
from vss_ros.resources import resource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from vss_ros.evaluation.sweep.outputs import Evaluation

REFERENCE = 'torch f32'
"""What papers compare with: the network on every frame in the framework it was trained in."""
STYLES = tuple(zip((*COLOURS, '#332288'), (*MARKERS, '*'), strict=True))
TICKS = (5, 7, 10, 15, 20, 30, 40, 50, 70, 100, 150, 200, 300, 500, 1000)


class Point(NamedTuple):
    """One configuration, or what a paper promises of it."""

    name: str
    ms: float
    """p99 of a frame, from its receipt to its published mask; the first of a stream left out."""
    miou: float
    """Per cent."""
    runtime: str = ''
    """With precision, where the network runs on every frame; empty for a system."""

    @property
    def whole(self) -> bool:
        """The network runs on every frame."""
        return bool(self.runtime)


def points_of(evaluation: Evaluation) -> list[Point]:
    """Return all that was measured, in the sweep's order.

    Raises:
        VssError: Nothing has both an accuracy against true masks and a latency.
    """
    found = []
    for result, timing in zip(evaluation.results, evaluation.timings, strict=True):
        segmenter = result['config']['segmenter']
        whole = segmenter['propagation'] == NO_PROPAGATION
        ms = (timing['latency_steady_ms'] or {}).get('p99')
        if result.get('miou') is None or ms is None or (whole and segmenter['runtime'] == 'auto'):
            continue
        runtime = f'{segmenter["runtime"]} {segmenter["precision"]}' if whole else ''
        found.append(Point(result['name'], ms, 100 * result['miou'], runtime))
    if not any(point.whole for point in found):
        raise VssError(
            'expected the network on every frame in a runtime that is named, with true masks; evaluate '
            'config/experiments/plot.yaml'
        )
    return found


def promises(points: Sequence[Point], papers: Mapping[str, Mapping[str, Any]]) -> list[Point]:
    """Return what papers promise of the systems among the points, none where the reference is missing."""
    reference = next((point for point in points if point.runtime == REFERENCE), None)
    found: list[Point] = []
    for name, paper in papers.items():
        whole, moved = paper['cost'] if 'cost' in paper else reversed(paper['fps'])
        before, after = paper['miou']
        if reference is not None and any(point.name == name for point in points):
            lost = reference.miou - (before - after)
            found.append(Point(name, reference.ms * moved / whole, lost))
    return found


@styled
def draw(points: Sequence[Point], promised: Sequence[Point], title: str) -> bytes:
    """Return a PNG."""
    figure, axes = new_axes(8.0, 4.6, 'worst latency of a frame, p99, ms (log scale)', 'mIoU, %')
    axes.set_xscale('log')
    axes.set_title(title, fontsize=8)
    whole = sorted((point for point in points if point.whole), key=lambda point: point.ms)
    axes.plot(
        [p.ms for p in whole], [p.miou for p in whole], 's', color=INK, ms=6,
        label='the network on every frame, by runtime',
    )  # fmt: skip
    by_name = {point.name: point for point in promised}
    systems = [point for point in points if not point.whole]
    for place, point in enumerate(systems):
        colour, marker = STYLES[place % len(STYLES)]
        axes.plot(point.ms, point.miou, marker, color=colour, ms=8)
        theirs = by_name.get(point.name)
        if theirs is not None:
            axes.plot([theirs.ms, point.ms], [theirs.miou, point.miou], ':', color=colour, lw=1)
            axes.plot(theirs.ms, theirs.miou, marker, mfc='white', mec=colour, ms=7)
    axes.plot([], [], 'o', color=OTHERS, ms=8, label='a system, in the fastest runtime')
    axes.plot([], [], 'o', mfc='white', mec=OTHERS, ms=7, label="its paper's own ratios, from PyTorch f32")
    _ticks(axes, [point.ms for point in (*points, *promised)])
    axes.margins(0.1, 0.12)
    axes.legend(loc='lower right')
    place_labels(axes, [(point.ms, point.miou, point.name) for point in (*systems, *whole)])
    return drawn(figure, 'latency', 'mIoU over p99 latency').png


def _ticks(axes: Axes, values: Sequence[float]) -> None:
    shown = [tick for tick in TICKS if min(values) / 1.3 <= tick <= max(values) * 1.3]
    axes.set_xticks(shown, [str(tick) for tick in shown])
    axes.set_xticks([], minor=True)


def title_of(evaluation: Evaluation) -> str:
    """Return how and where was measured."""
    result, machine = evaluation.results[0], evaluation.timings[0]['machine']
    every = f'a frame every {result["frame_interval_ms"]:.0f} ms'
    how = f'live over DDS, {every}' if result.get('live') else 'replayed'
    return f'{how}; {machine["cpu"]}, {machine["threads"]} thread(s) a track, {machine["date"]}'


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = new_parser('python -m experiments.latency_plot', __doc__)
    add(parser, 'results DIR', 'results of vss evaluate -o DIR')
    add(parser, '-o --output FILE', 'picture to write (.png)', required=True)
    sweep = resource('config', 'experiments', 'plot.yaml')
    add(parser, '--sweep FILE', 'where the figures of the papers stand (default: plot.yaml)', sweep)
    args = parser.parse_args(argv)
    try:
        evaluation = read_evaluation(args.results)
        papers = yaml.safe_load(args.sweep.read_text(encoding='utf-8')).get('tables') or {}
        points = points_of(evaluation)
        promised = promises(points, papers)
        write_whole(args.output, draw(points, promised, title_of(evaluation)))
    except (VssError, OSError, yaml.YAMLError) as error:
        print(f'latency_plot: {error}', file=sys.stderr)
        return 2
    for point in points:
        print(f'{point.name:<24}{point.miou:6.1f} %{point.ms:9.1f} ms')
    for entry in evaluation.refused:
        print(f'refused: {entry["name"]}: {entry["reason"]}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
