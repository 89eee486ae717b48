"""Key-frame decisions of a whole sequence: CSV, timeline and figures."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from vss_ros.evaluation.report.plots import write_timeline
from vss_ros.evaluation.rows import DecisionRow
from vss_ros.files import write_csv
from vss_ros.latency import percentiles

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def write_decisions(rows: Sequence[DecisionRow], folder: Path, title: str) -> None:
    """Write decisions.csv, one line per frame in which NaN is an empty field, and timeline.png."""
    columns = [entry.name for entry in fields(DecisionRow)]
    write_csv(folder / 'decisions.csv', columns, map(asdict, rows))
    write_timeline(rows, folder / 'timeline.png', title)


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
