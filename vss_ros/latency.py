"""Latency figures as every report states them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return p50, p95, p99 and max in milliseconds, empty without samples."""
    if not seconds:
        return {}
    values = np.percentile(np.array(seconds) * 1e3, (50, 95, 99, 100))
    return {name: round(float(v), 2) for name, v in zip(('p50', 'p95', 'p99', 'max'), values, strict=True)}
