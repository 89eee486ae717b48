"""Key-frame decisions of a whole sequence: CSV, figures and the timeline plot."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

mpl.use('Agg')
import matplotlib.pyplot as plt

from vss_ros.engine.latency import percentiles
from vss_ros.evaluation.rows import DecisionRow
from vss_ros.files import write_csv

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def write_decisions(rows: Sequence[DecisionRow], folder: Path, title: str) -> None:
    """Write decisions.csv, one line per frame in which NaN is an empty field, and timeline.png."""
    columns = [entry.name for entry in fields(DecisionRow)]
    write_csv(folder / 'decisions.csv', columns, map(asdict, rows))
    _plot_timeline(rows, folder / 'timeline.png', title)


def figures_of(rows: Sequence[DecisionRow]) -> dict[str, Any]:
    """Return what a summary says of a sequence: key frames, frames per key frame, latencies in ms."""
    keys = [row for row in rows if row.is_key_frame]
    return {
        'key_frames': len(keys),
        'mean_interval': round(len(rows) / max(len(keys), 1), 3),
        'latency_ms': percentiles([row.latency for row in rows]),
        'latency_key_ms': percentiles([row.latency for row in keys]),
        'latency_nonkey_ms': percentiles([row.latency for row in rows if not row.is_key_frame]),
    }


def _plot_timeline(rows: Sequence[DecisionRow], path: Path, title: str) -> None:
    """Draw predicted deviation, threshold, key frames and latency over time."""
    start = rows[0].stamp_ns
    seconds = [(row.stamp_ns - start) / 1e9 for row in rows]
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(11, 5.5), sharex=True, height_ratios=(3, 2), layout='constrained'
    )
    # None, where there is no value, becomes NaN.
    predicted = 100 * np.array([row.predicted_deviation for row in rows], float)
    threshold = 100 * np.array([row.threshold for row in rows], float)
    above.plot(seconds, predicted, '.-', lw=1, ms=4, label='predicted deviation')
    above.plot(seconds, threshold, '--', lw=1, color='tab:red', label='threshold')
    keys = [(t, row) for t, row in zip(seconds, rows, strict=True) if row.is_key_frame]
    for i, (t, row) in enumerate(keys):
        fresh = row.track == 'full'
        colour = 'tab:purple' if fresh else 'tab:green'
        first = next(j for j, (_, r) in enumerate(keys) if (r.track == 'full') == fresh) == i
        label = (
            ('key frame (whole network at once)' if fresh else 'key frame (fast track)') if first else None
        )
        above.axvline(t, color=colour, lw=0.8, alpha=0.6, label=label)
    above.set_ylabel('labels changed since\nkey frame, %')
    above.set_ylim(0, 1.15 * np.nanmax([1.0, *predicted, *threshold]))
    above.legend(loc='upper right', fontsize=8)
    above.set_title(title)
    colours = ['tab:green' if row.is_key_frame else 'tab:blue' for row in rows]
    below.bar(
        seconds,
        [1e3 * row.latency for row in rows],
        width=0.8 * max(seconds[-1], 0.1) / len(rows),
        color=colours,
    )
    below.set_ylabel('latency, ms')
    below.set_xlabel('time, s (green: key frames)')
    figure.savefig(path, dpi=110)
    plt.close(figure)
