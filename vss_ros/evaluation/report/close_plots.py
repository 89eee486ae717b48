"""Plots of one configuration: what happened frame by frame, how late it was, how far it propagated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vss_ros.evaluation.report.drawing import COLOURS, INK, OTHERS, drawn, new_figure, styled, whole_numbers
from vss_ros.evaluation.rows import STREAM_STARTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from vss_ros.evaluation.report.drawing import Drawing
    from vss_ros.evaluation.report.findings import Configuration, Row

MOST_FRAMES = 300
"""Of a timeline: more are a blur."""
BINS = 40
KEY, OTHER, START = COLOURS[1], COLOURS[0], OTHERS
"""Of key frames, of the frames between and of those at which a stream begins."""


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
        'between key frames': [row['latency_ms'] for row in timed if _colour(row) == OTHER],
        'key frames': [row['latency_ms'] for row in timed if _colour(row) == KEY],
        'first of a stream': [row['latency_ms'] for row in timed if _colour(row) == START],
    }
    figure = new_figure(4.4, 2.8)
    axes = figure.subplots()
    top = max(row['latency_ms'] for row in timed)
    axes.hist(
        list(kinds.values()), bins=BINS, range=(0, 1.02 * top or 1), stacked=True, color=[OTHER, KEY, START],
        label=[f'{kind} ({len(values)})' for kind, values in kinds.items()],
    )  # fmt: skip
    period: Any = configuration.result.get('frame_interval_ms')
    if period and period < 1.5 * top:
        axes.axvline(period, color=INK, ls=':', lw=1, label=f'camera: one in {period:.0f} ms')
    axes.set_xlabel('latency, ms')
    axes.set_ylabel('frames')
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
    figure = new_figure(4.4, 2.8)
    axes = figure.subplots()
    axes.bar(list(counted), list(counted.values()), 0.8, color=[KEY if d == 0 else OTHER for d in counted])
    axes.set_xlabel('frames since the key frame (0: the key frame)')
    axes.set_ylabel('frames')
    for axis in (axes.xaxis, axes.yaxis):
        whole_numbers(axis)
    told = ', '.join(f'{distance}: {frames}' for distance, frames in counted.items())
    return drawn(
        figure, f'distances_{configuration.index + 1:02}', f'{configuration.name}: frames by distance. {told}'
    )
