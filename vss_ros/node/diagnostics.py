"""What the node counts, and how it tells."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

if TYPE_CHECKING:
    from vss_ros.engine.frames import FrameResult

WINDOW = 300
"""Latencies kept for percentiles: 20 s at 15 Hz."""
STALE_AFTER = 2.0
"""Seconds without an answer after which an active node warns."""


class Statistics:
    """Counters of one node; every method may be called from any thread."""

    def __init__(self) -> None:
        """Start with zeros."""
        self._lock = threading.Lock()
        self._key: deque[float] = deque(maxlen=WINDOW)
        self._other: deque[float] = deque(maxlen=WINDOW)
        self._answered_at: deque[float] = deque(maxlen=WINDOW)
        self._counts: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._last_error = ''

    def received(self) -> None:
        """Count an image that arrived."""
        with self._lock:
            self._counts['received'] += 1

    def answered(self, result: FrameResult, latency: float) -> None:
        """Count an answer; ``latency`` in seconds."""
        with self._lock:
            self._counts['answered'] += 1
            self._counts['key_frames'] += result.decision.is_key_frame
            (self._key if result.decision.is_key_frame else self._other).append(latency)
            self._answered_at.append(time.monotonic())

    def rejected(self, reason: str) -> None:
        """Count an image that was refused."""
        with self._lock:
            self._rejected[reason] += 1

    @property
    def rejections(self) -> int:
        """Images refused so far."""
        with self._lock:
            return self._rejected.total()

    def failed(self, error: BaseException) -> None:
        """Count a frame or a slow-track run that raised."""
        with self._lock:
            self._counts['errors'] += 1
            self._last_error = f'{type(error).__name__}: {error}'

    def to_message(self, name: str, hardware: str, more: dict[str, int], *, active: bool) -> DiagnosticStatus:
        """Return the status of this moment; ``more`` are counters other parts own."""
        with self._lock:
            now = time.monotonic()
            recent = [t for t in self._answered_at if now - t < 5.0]
            age = now - self._answered_at[-1] if self._answered_at else float('nan')
            values: dict[str, object] = {**self._counts, **more}
            values['rejected'] = self._rejected.total()
            values |= {f'rejected_{reason}': count for reason, count in sorted(self._rejected.items())}
            values['rate_hz'] = f'{len(recent) / 5.0:.2f}'
            values['seconds_since_answer'] = f'{age:.3f}'
            for kind, window in (
                ('key', self._key),
                ('nonkey', self._other),
                ('all', [*self._key, *self._other]),
            ):
                values |= _percentiles(f'latency_{kind}_ms', list(window))
            values['last_error'] = self._last_error
            errors = self._counts['errors']
        level, message = DiagnosticStatus.OK, 'segmenting' if active else 'inactive'
        if errors:
            level, message = DiagnosticStatus.WARN, f'{errors} errors, the last: {self._last_error}'
        if active and not recent and not age < STALE_AFTER:
            level, message = (
                DiagnosticStatus.WARN,
                'active, but no image was answered for 2 s: check the camera topic',
            )
        pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
        return DiagnosticStatus(level=level, name=name, message=message, hardware_id=hardware, values=pairs)


def to_array(status: DiagnosticStatus, stamp: object) -> DiagnosticArray:
    """Wrap a status for the /diagnostics topic."""
    array = DiagnosticArray(status=[status])
    array.header.stamp = stamp
    return array


def _percentiles(name: str, seconds: list[float]) -> dict[str, object]:
    if not seconds:
        return {}
    p50, p95, p99 = np.percentile(np.array(seconds) * 1e3, (50, 95, 99))
    return {
        f'{name}_p50': f'{p50:.1f}',
        f'{name}_p95': f'{p95:.1f}',
        f'{name}_p99': f'{p99:.1f}',
        f'{name}_max': f'{max(seconds) * 1e3:.1f}',
    }
