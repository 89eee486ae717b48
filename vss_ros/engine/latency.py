"""Latency figures as every report states them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BUSY = 1.5
"""Spread from which on a machine does something else besides."""


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return p50, p95, p99 and max in milliseconds, empty without samples."""
    if not seconds:
        return {}
    values = np.array(seconds) * 1e3
    p50, p95, p99 = np.percentile(values, (50, 95, 99))
    return {
        name: round(float(v), 2)
        for name, v in zip(('p50', 'p95', 'p99', 'max'), (p50, p95, p99, values.max()), strict=True)
    }


def replays_note(results: Sequence[Mapping[str, Any]], timings: Sequence[Mapping[str, Any]]) -> str:
    """Return of how many replays times are, and how far to trust them; nothing for live runs.

    Args:
        results: Of ``summarise``, one a configuration.
        timings: Of ``summarise_timing``, in the same order.
    """
    pairs = zip(results, timings, strict=True)
    timed = [timing for result, timing in pairs if not result.get('live') and timing['latency_ms']]
    counts = {timing.get('replays', 1) for timing in timed}
    if not counts:
        return ''
    if counts == {1}:
        return (
            'times are of one replay, in which one busy moment of the machine can be the worst latency; '
            '--repeats 3 takes medians'
        )
    number = ' or '.join(map(str, sorted(counts)))
    text = f"each frame's time is the median of {number} replays, streaming accuracy is with these"
    spread = max(timing.get('spread') or 1 for timing in timed)
    if spread >= BUSY:
        text += (
            f'; one and the same frame took up to {spread:.1f} times as long in one replay as in another: '
            'this machine was busy, compare with care'
        )
    return text
