"""The plots: accuracy by latency, distance, cost and class; what one configuration did frame by frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

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

    from matplotlib.axes import Axes

    from vss_ros.evaluation.report.drawing import Drawing
    from vss_ros.evaluation.report.findings import Configuration, Findings, Row

WIDTH = 5.0
"""Of most plots, inches: on a phone their text is still read."""
MOST_FRAMES = 300
"""Of a timeline: more are a blur."""
BINS = 40
KEY, OTHER, START = COLOURS[1], COLOURS[0], OTHERS
"""Colours of key frames, of the frames between and of those at which a stream begins."""


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
    figure, axes = new_axes(
        WIDTH, 3.7, 'worst latency of a frame, ms (log scale)', f'{findings.score_name}, %'
    )
    marks = style_of(findings)
    for entry, worst, score in points:
        colour, marker = marks.get(entry.index, (OTHERS, 'o'))
        axes.plot(worst, score, marker, color=colour, ms=8 if entry.index in marks else 6, label=entry.name)
    axes.set_xscale('log')
    _plain_ticks(axes, [worst for _, worst, _ in points])
    reference = findings.reference
    if reference is not None and reference.usual_ms is not None and reference.score is not None:
        limits = LATENCY_SHARE * reference.usual_ms, 100 * (reference.score - ACCURACY_LOSS)
        axes.axvline(limits[0], color=OTHERS, ls='--', lw=1)
        axes.axhline(limits[1], color=OTHERS, ls='--', lw=1)
    axes.margins(0.12, 0.15)
    important = sorted(points, key=lambda point: not point[0].roles)
    place_labels(axes, [(worst, score, _tag(entry)) for entry, worst, score in important])
    words = '; '.join(f'{entry.name}: {score:.1f} % at {worst:.1f} ms' for entry, worst, score in points)
    alt = f'{findings.score_name} over worst latency. {words}'
    return drawn(figure, 'accuracy_latency', alt)


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
    low, high = min(values) / 1.3, max(values) * 1.3
    steps = [base * 10.0**power for power in range(-3, 7) for base in (1, 2, 3, 5, 7)]
    ticks = [step for step in steps if low <= step <= high]
    axes.set_xticks(ticks, [f'{tick:g}' for tick in ticks])
    axes.set_xticks([], minor=True)


@styled
def accuracy_by_distance(findings: Findings) -> Drawing | None:
    """Draw the PDA curves: score over frames since the key frame; None where nothing propagates."""
    curves = {entry.index: entry.accuracy_by_distance for entry in findings.configurations}
    if all(len(curve) < 2 for curve in curves.values()):
        return None
    figure, axes = new_axes(WIDTH, 3.5, 'frames since the key frame', f'{findings.score_name}, %')
    for entry, (colour, marker) in _in_order(findings):
        curve = {distance: 100 * score for distance, score in curves[entry.index].items()}
        if len(curve) == 1 and entry is findings.reference:
            axes.axhline(next(iter(curve.values())), color=colour, ls='--', lw=1.2, label=_tag(entry))
        elif len(curve) > 1:
            _line(axes, entry, list(curve), list(curve.values()), colour, marker)
    whole_numbers(axes.xaxis)
    axes.legend(loc='best')
    points = {
        index: [(str(distance), 100 * score) for distance, score in curve.items()]
        for index, curve in curves.items()
    }
    words = _in_words(points, findings)
    return drawn(figure, 'pda', f'{findings.score_name} by frames since the key frame. {words}')


def _in_words(points: Mapping[int, Sequence[tuple[str, float]]], findings: Findings) -> str:
    """Return the curves that are looked at closely: each point's place and score in per cent."""
    return '; '.join(
        f'{entry.name}: ' + ', '.join(f'{x}: {score:.1f} %' for x, score in points[entry.index])
        for entry in findings.compared
    )


def _in_order(findings: Findings) -> list[tuple[Configuration, tuple[str, str]]]:
    """Return all configurations with their colours, those that are looked at closely last, on top."""
    marks = style_of(findings)
    styled = [(entry, marks.get(entry.index, (OTHERS, ''))) for entry in findings.configurations]
    return sorted(styled, key=lambda item: item[0].index in marks)


def _line(
    axes: Axes, entry: Configuration, x: Sequence[float], y: Sequence[float], colour: str, marker: str
) -> None:
    """Draw a curve; one that is not looked at closely is thin and has its number at its end."""
    if marker:
        axes.plot(x, y, marker=marker, color=colour, lw=1.6, ms=5, label=_tag(entry))
        return
    axes.plot(x, y, color=colour, lw=0.8, alpha=0.7, marker='.' if len(x) == 1 else '')
    axes.annotate(
        str(entry.index + 1), (x[-1], y[-1]), (3, 0), textcoords='offset points', fontsize=7, va='center'
    )


@styled
def accuracy_against_cost(findings: Findings, unit: str) -> Drawing | None:
    """Draw the CCA plot: score over the mean cost of a frame.

    Where the PDA protocol was measured a configuration is a curve, by Eq. 8 of the distortion-aware paper;
    otherwise it is one point, what it cost in this replay. None where no cost is known.

    Args:
        findings: What was found.
        unit: ``flops``, in per cent of the whole network's, or ``ms``, as measured.

    """
    curves = {entry.index: _cost_curve(entry, unit) for entry in findings.configurations}
    if not any(curves.values()):
        return None
    what = 'operations of a frame, % of the whole network' if unit == 'flops' else 'latency of a frame, ms'
    figure, axes = new_axes(WIDTH, 3.5, f'mean {what}', f'{findings.score_name}, %')
    for entry, (colour, marker) in _in_order(findings):
        if curves[entry.index]:
            x, y = zip(*curves[entry.index], strict=True)
            _line(axes, entry, x, y, colour, marker)
    axes.set_xlim(left=0)
    axes.legend(loc='best')
    points = {index: [(f'{cost:.1f}', score) for cost, score in curve] for index, curve in curves.items()}
    words = _in_words(points, findings)
    return drawn(figure, f'cca_{unit}', f'{findings.score_name} over mean {what}. {words}')


def _cost_curve(entry: Configuration, unit: str) -> list[tuple[float, float]]:
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
        values = [np.nan if iou.get(name) is None else 100 * iou[name] for name in names]
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
    seconds = [(row['stamp_ns'] - rows[0]['stamp_ns']) / 1e9 for row in rows]
    figure = new_figure(9.0, 4.6)
    above, middle, below = figure.subplots(3, 1, sharex=True, height_ratios=(3, 2, 2))
    _deviations(above, rows, seconds)
    figure.legend(loc='outside upper center', ncols=4)
    scores = [np.nan if row['score'] is None else 100 * row['score'] for row in rows]
    middle.plot(seconds, scores, '.-', color=COLOURS[2], lw=1, ms=4)
    middle.set_ylabel(f'{score_name}\nof the frame, %')
    _latencies(below, rows, seconds)
    below.set_xlabel(f'time, s; frames {rows[0]["frame_index"]} to {rows[-1]["frame_index"]}')
    figure.align_ylabels()
    keys = sum(row['is_key_frame'] for row in rows)
    what = 'deviation, score and latency over time'
    alt = f'{configuration.name}: {what}; {keys} key frames among {len(rows)} frames'
    return drawn(figure, f'timeline_{configuration.index + 1:02}', alt)


def _deviations(axes: Axes, rows: Sequence[Row], seconds: Sequence[float]) -> None:
    """Draw true and predicted deviation with the threshold and the key frames."""
    keys = [second for row, second in zip(rows, seconds, strict=True) if row['is_key_frame']]
    lines: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ('deviation', 'true deviation', {'color': OTHER, 'marker': '.', 'ms': 4, 'lw': 1.0}),
        ('predicted_deviation', 'predicted', {'color': COLOURS[3], 'lw': 1.2}),
        ('threshold', 'threshold', {'color': INK, 'ls': '--', 'lw': 0.8}),
    )
    highest = 1.0
    for name, text, style in lines:
        values = np.array([np.nan if row[name] is None else 100 * row[name] for row in rows])
        if not np.all(np.isnan(values)):
            axes.plot(seconds, values, label=text, **style)
            highest = max(highest, np.nanmax(values))
    axes.set_ylim(0, 1.15 * highest)
    heights = np.full(len(keys), axes.get_ylim()[1])
    axes.vlines(keys, 0, heights, color=KEY, lw=0.9, alpha=0.7, label='key frame')
    axes.set_ylim(top=axes.get_ylim()[1])
    axes.set_ylabel('labels changed since\nthe key frame, %')


def _latencies(axes: Axes, rows: Sequence[Row], seconds: Sequence[float]) -> None:
    values = [np.nan if row['latency_ms'] is None else row['latency_ms'] for row in rows]
    width = 0.8 * (seconds[-1] - seconds[0]) / max(len(rows) - 1, 1)
    axes.bar(seconds, values, width, color=[_colour(row) for row in rows])
    axes.set_ylabel('latency, ms')


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
