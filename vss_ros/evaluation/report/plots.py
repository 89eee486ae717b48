"""The plots: accuracy by latency, distance, cost and class; what one configuration did frame by frame."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from vss_ros.command_line import printable
from vss_ros.evaluation.metrics.distance import mean_cost
from vss_ros.evaluation.report.drawing import (
    COLOURS,
    INK,
    MARKERS,
    OTHERS,
    drawn,
    label,
    new_axes,
    new_figure,
    place_labels,
    styled,
    whole_numbers,
)  # fmt: skip
from vss_ros.evaluation.report.figures import number
from vss_ros.evaluation.rows import STREAM_STARTS
from vss_ros.evaluation.sweep.verdict import ACCURACY_LOSS, LATENCY_SHARE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vss_ros.evaluation.report.drawing import Drawing
    from vss_ros.evaluation.report.findings import Configuration, Findings, Row
    from vss_ros.evaluation.rows import DecisionRow

    Curve = Sequence[tuple[float, float]]
    """Places and scores in per cent."""

WIDTH = 5.0
"""Of most plots, inches: on a phone their text is still read."""
MOST_FRAMES = 300
"""Of a timeline: more are a blur."""
BINS = 40
KEY, OTHER, START = COLOURS[1], COLOURS[0], OTHERS
"""Colours of key frames, of the frames between and of those at which a stream begins."""
FAST = COLOURS[4]
"""Colour of key frames that the fast track answered."""


@styled
def accuracy_against_latency(findings: Findings) -> Drawing | None:
    """Draw every configuration's score over its worst latency, as Figure 1 of the low-latency paper does.

    The two limits of the verdict are lines: what lies left of the upright one is fast enough, what lies
    above the level one accurate enough. None where nothing has both figures.
    """
    points = [
        (entry, entry.worst_ms, 100 * entry.score)
        for entry in findings.configurations
        if entry.worst_ms is not None and entry.score is not None
    ]
    if not points:
        return None
    what = 'worst latency of a frame, ms (log scale)'
    figure, axes = new_axes(WIDTH, 3.7, what, f'{findings.score_name}, %')
    marks = style_of(findings)
    for entry, worst, score in points:
        colour, marker = marks.get(entry.index, (OTHERS, 'o'))
        axes.plot(worst, score, marker, color=colour, ms=8 if entry.index in marks else 6)
    axes.set_xscale('log')
    _plain_ticks(axes, [worst for _, worst, _ in points])
    reference = findings.reference
    if reference is not None and reference.usual_ms is not None and reference.score is not None:
        axes.axvline(LATENCY_SHARE * reference.usual_ms, color=OTHERS, ls='--', lw=1)
        axes.axhline(100 * (reference.score - ACCURACY_LOSS), color=OTHERS, ls='--', lw=1)
    axes.margins(0.12, 0.15)
    important = sorted(points, key=lambda point: not point[0].roles)
    place_labels(axes, [(worst, score, _tag(entry)) for entry, worst, score in important])
    words = '; '.join(f'{entry.name}: {score:.1f} % at {worst:.1f} ms' for entry, worst, score in points)
    return drawn(figure, 'accuracy_latency', f'{findings.score_name} over worst latency. {words}')


def style_of(findings: Findings) -> dict[int, tuple[str, str]]:
    """Return colour and marker of the configurations that are looked at closely, the same in all plots."""
    return {
        entry.index: (COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)])
        for place, entry in enumerate(findings.compared)
    }


def _tag(entry: Configuration) -> str:
    """Return what stands beside a point: its number in the table, with its name where it was chosen."""
    return f'{entry.index + 1} {label(entry.name)}' if entry.roles else str(entry.index + 1)


def _plain_ticks(axes: Axes, values: list[float]) -> None:
    """Label a logarithmic axis with round numbers within the values."""
    steps = [base * 10.0**power for power in range(-3, 7) for base in (1, 2, 3, 5, 7)]
    ticks = [step for step in steps if min(values) / 1.3 <= step <= max(values) * 1.3]
    axes.set_xticks(ticks, [f'{tick:g}' for tick in ticks])
    axes.set_xticks([], minor=True)


@styled
def accuracy_by_distance(findings: Findings) -> Drawing | None:
    """Draw the PDA curves: score over frames since the key frame; None where nothing propagates."""
    curves = {
        entry.index: [(distance, 100 * score) for distance, score in entry.accuracy_by_distance.items()]
        for entry in findings.configurations
    }
    if all(len(curve) < 2 for curve in curves.values()):
        return None
    figure, axes = new_axes(WIDTH, 3.5, 'frames since the key frame', f'{findings.score_name}, %')
    reference = findings.reference
    if reference is not None and len(curves[reference.index]) == 1:
        colour, level = style_of(findings)[reference.index][0], curves[reference.index][0][1]
        axes.axhline(level, color=colour, ls='--', lw=1.2, label=_tag(reference))
    lines = {index: curve if len(curve) > 1 else [] for index, curve in curves.items()}
    _draw_curves(axes, lines, findings)
    whole_numbers(axes.xaxis)
    axes.legend(loc='best')
    words = _in_words(curves, findings, '{}')
    return drawn(figure, 'pda', f'{findings.score_name} by frames since the key frame. {words}')


def _in_words(curves: Mapping[int, Curve], findings: Findings, place: str) -> str:
    """Return the curves that are looked at closely: each point's place, in this format, and its score."""
    texts = {
        entry.name: ', '.join(f'{place.format(x)}: {score:.1f} %' for x, score in curves[entry.index])
        for entry in findings.compared
    }
    return '; '.join(f'{name}: {text}' for name, text in texts.items())


def _draw_curves(axes: Axes, curves: Mapping[int, Curve], findings: Findings) -> None:
    """Draw the curves, those looked at closely on top; the others are thin, with a number at their end."""
    marks = style_of(findings)
    for entry in sorted(findings.configurations, key=lambda entry: entry.index in marks):
        if not curves[entry.index]:
            continue
        x, y = zip(*curves[entry.index], strict=True)
        if entry.index in marks:
            colour, marker = marks[entry.index]
            axes.plot(x, y, marker=marker, color=colour, lw=1.6, ms=5, label=_tag(entry))
        else:
            axes.plot(x, y, color=OTHERS, lw=0.8, alpha=0.7, marker='.' if len(x) == 1 else '')
            end = str(entry.index + 1), (x[-1], y[-1]), (3, 0)
            axes.annotate(*end, textcoords='offset points', fontsize=7, va='center')


@styled
def accuracy_against_cost(findings: Findings, unit: str) -> Drawing | None:
    """Draw the CCA plot: score over the mean cost of a frame.

    Where the PDA protocol was measured a configuration is a curve, by Eq. 8 of the distortion-aware paper;
    otherwise it is one point, what it cost in this replay. None where no cost is known. The unit is
    ``flops``, in per cent of the whole network's, or ``ms``, as measured.
    """
    curves = {entry.index: _cost_curve(entry, unit) for entry in findings.configurations}
    if not any(curves.values()):
        return None
    what = 'operations of a frame, % of the whole network' if unit == 'flops' else 'latency of a frame, ms'
    figure, axes = new_axes(WIDTH, 3.5, f'mean {what}', f'{findings.score_name}, %')
    _draw_curves(axes, curves, findings)
    axes.set_xlim(left=0)
    axes.legend(loc='best')
    words = _in_words(curves, findings, '{:.1f}')
    return drawn(figure, f'cca_{unit}', f'{findings.score_name} over mean {what}. {words}')


def _cost_curve(entry: Configuration, unit: str) -> Curve:
    """Return mean cost and score in per cent: of every distance, of the replay, or nothing."""
    flops = [entry.result.get(f'flops_ratio{kind}') for kind in ('_key', '_nonkey', '')]
    key, other, mean = (
        (None if ratio is None else 100 * ratio for ratio in flops) if unit == 'flops' else entry.mean_ms
    )
    if entry.result.get('pda') and key is not None and other is not None:
        curve = entry.accuracy_by_distance
        return [(mean_cost(key, other, distance), 100 * score) for distance, score in curve.items()]
    return [] if mean is None or entry.score is None else [(mean, 100 * entry.score)]


@styled
def accuracy_by_class(findings: Findings) -> Drawing | None:
    """Draw bars of the IoU of each class, for the reference and what is looked at closely."""
    series = [entry for entry in findings.compared if entry.result.get('per_class_iou')]
    if not series:
        return None
    first = series[0].result['per_class_iou']
    names = sorted(first, key=lambda name: -1.0 if first[name] is None else first[name])
    marks, thick = style_of(findings), 0.8 / len(series)
    figure, axes = new_axes(WIDTH, 0.9 + 0.17 * len(names) * (len(series) + 0.6), 'IoU, %', '')
    for place, entry in enumerate(series):
        iou = entry.result['per_class_iou']
        values = 100 * np.array([iou.get(name) for name in names], float)
        where = np.arange(len(names)) + 0.4 - thick * (place + 0.5)
        axes.barh(where, values, thick * 0.9, color=marks[entry.index][0], label=_tag(entry))
        for y, value in zip(where, values, strict=True):
            text = number(None if np.isnan(value) else value, 0)
            axes.text(1 + np.nan_to_num(value), y, text, va='center', fontsize=7)
    axes.set_yticks(range(len(names)), [label(name) for name in names])
    axes.set_xlim(0, 108)
    axes.grid(visible=False, axis='y')
    figure.legend(loc='outside upper left', ncols=1)
    words = '; '.join(
        f'{name}: {"no pixel" if first[name] is None else f"{100 * first[name]:.1f} %"}' for name in names
    )
    return drawn(figure, 'classes', f'IoU by class of {series[0].name}. {words}')


def stretch(configuration: Configuration) -> list[Row]:
    """Return the frames of one input that the timeline shows: all, or those around the worst."""
    rows, worst = configuration.rows, configuration.result.get('worst') or []
    if not rows:
        return []
    number = worst[0]['input'] if worst else rows[0]['input']
    rows = [row for row in rows if row['input'] == number]
    indices = [row['frame_index'] for row in rows]
    middle = indices.index(worst[0]['frame_index']) if worst else 0
    start = max(min(middle - MOST_FRAMES // 2, len(rows) - MOST_FRAMES), 0)
    return rows[start : start + MOST_FRAMES]


@styled
def timeline(configuration: Configuration, score_name: str) -> Drawing | None:
    """Draw, over time, the deviation from the key frame, the score of each frame, and its latency."""
    rows = stretch(configuration)
    if len(rows) < 2:
        return None
    figure = _over_time(rows, score_name)
    counted = f'{sum(row["is_key_frame"] for row in rows)} key frames among {len(rows)} frames'
    alt = f'{configuration.name}: deviation, score and latency over time; {counted}'
    return drawn(figure, f'timeline_{configuration.index + 1:02}', alt)


@styled
def write_timeline(decisions: Sequence[DecisionRow], path: Path, title: str) -> None:
    """Write a picture (PNG) of deviation, key frames and latency over time, of at least one decision."""
    figure = _over_time([asdict(row) | {'latency_ms': 1e3 * row.latency} for row in decisions])
    figure.suptitle(printable(title), parse_math=False)
    figure.savefig(path)


def _over_time(rows: Sequence[Row], score_name: str = '') -> Figure:
    """Draw deviation, latency and, where it has a name, the score of each frame over time."""
    seconds = [(row['stamp_ns'] - rows[0]['stamp_ns']) / 1e9 for row in rows]
    figure = new_figure(9.0, 4.6)
    heights = (3, 2, 2) if score_name else (3, 2)
    above, *middle, below = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    _deviations(above, rows, seconds)
    figure.legend(loc='outside upper center', ncols=5)
    for axes in middle:
        scores = 100 * np.array([row['score'] for row in rows], float)
        axes.plot(seconds, scores, '.-', color=COLOURS[2], lw=1, ms=4)
        axes.set_ylabel(f'{score_name}\nof the frame, %')
    latency = np.array([row['latency_ms'] for row in rows], float)
    width = 0.8 * (seconds[-1] or 0.1) / max(len(rows) - 1, 1)
    below.bar(seconds, latency, width, color=[_colour(row) for row in rows])
    below.set_ylabel('latency, ms')
    below.set_xlabel(f'time, s; frames {rows[0]["frame_index"]} to {rows[-1]["frame_index"]}')
    figure.align_ylabels()
    return figure


def _deviations(axes: Axes, rows: Sequence[Row], seconds: Sequence[float]) -> None:
    lines: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ('deviation', 'true deviation', {'color': OTHER, 'marker': '.', 'ms': 4, 'lw': 1.0}),
        ('predicted_deviation', 'predicted', {'color': COLOURS[3], 'lw': 1.2}),
        ('threshold', 'threshold', {'color': INK, 'ls': '--', 'lw': 0.8}),
    )
    highest = 1.0
    for name, text, style in lines:
        values = 100 * np.array([row.get(name) for row in rows], float)  # None becomes NaN
        if not np.all(np.isnan(values)):
            axes.plot(seconds, values, label=text, **style)
            highest = max(highest, np.nanmax(values))
    axes.set_ylim(0, 1.15 * highest)
    for track, colour, text in (('full', KEY, 'key frame'), ('fast', FAST, 'key frame by the fast track')):
        timed = zip(rows, seconds, strict=True)
        keys = [second for row, second in timed if row['is_key_frame'] and row['track'] == track]
        if keys:
            axes.vlines(keys, 0, 1.15 * highest, color=colour, lw=0.9, alpha=0.7, label=text)
    axes.set_ylabel('labels changed since\nthe key frame, %')


def _colour(row: Row) -> str:
    return START if row['reason'] in STREAM_STARTS else KEY if row['is_key_frame'] else OTHER


@styled
def latencies(configuration: Configuration) -> Drawing | None:
    """Draw a histogram of the latencies of key frames, of others and of those that begin a stream."""
    timed = [row for row in configuration.rows if row['latency_ms'] is not None]
    if not timed:
        return None
    kinds = {
        kind: [row['latency_ms'] for row in timed if _colour(row) == colour]
        for kind, colour in (('between key frames', OTHER), ('key frames', KEY), ('first of a stream', START))
    }
    figure, axes = new_axes(4.4, 2.8, 'latency, ms', 'frames')
    top = max(row['latency_ms'] for row in timed)
    axes.hist(
        list(kinds.values()), bins=BINS, range=(0, 1.02 * top or 1), stacked=True, color=[OTHER, KEY, START],
        label=[f'{kind} ({len(values)})' for kind, values in kinds.items()],
    )  # fmt: skip
    period: Any = configuration.result.get('frame_interval_ms')
    if period and period < 1.5 * top:
        axes.axvline(period, color=INK, ls=':', lw=1, label=f'camera: one in {period:.0f} ms')
    whole_numbers(axes.yaxis)
    figure.legend(loc='outside upper center', ncols=2)
    alt = f'{configuration.name}: latencies of {len(timed)} frames, the longest {top:.1f} ms'
    return drawn(figure, f'latency_{configuration.index + 1:02}', alt)


@styled
def distances(configuration: Configuration) -> Drawing | None:
    """Draw how many frames were answered at each distance from their key frame."""
    counted = {int(distance): frames for distance, frames in configuration.result['distances'].items()}
    if not counted:
        return None
    figure, axes = new_axes(4.4, 2.8, 'frames since the key frame (0: the key frame)', 'frames')
    axes.bar(list(counted), list(counted.values()), 0.8, color=[KEY if d == 0 else OTHER for d in counted])
    for axis in (axes.xaxis, axes.yaxis):
        whole_numbers(axis)
    listed = ', '.join(f'{distance}: {frames}' for distance, frames in counted.items())
    alt = f'{configuration.name}: frames by distance. {listed}'
    return drawn(figure, f'distances_{configuration.index + 1:02}', alt)
