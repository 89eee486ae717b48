"""The node's counters and latencies, and the message on /diagnostics made of them."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from vss_ros.engine.latency import percentiles

if TYPE_CHECKING:
    from vss_ros.engine.frames import FrameResult
    from vss_ros.images.image_decoding import ImageError

WINDOW = 300
"""Latencies kept for percentiles: 20 s at 15 Hz."""
SPAN = 5.0
"""Seconds over which rates are taken."""
KEPT_UP = 0.9
"""Share of answered images below which the message says that images are overwritten."""
STALE_AFTER = 2.0
"""Seconds without an answer after which an active node warns."""
TROUBLE_SHOWN = 30.0
"""Seconds for which an error or a refused image keeps the status at WARN."""


class Statistics:
    """Counters of one node; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: deque[float] = deque(maxlen=WINDOW)
        self._other: deque[float] = deque(maxlen=WINDOW)
        self._received_at: deque[float] = deque()
        self._answered_at: deque[float] = deque()
        self._counts: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._active_since = time.monotonic()
        self._trouble = ('', float('-inf'))  # what, when

    def activated(self) -> None:
        """Remember that images are expected from now on."""
        with self._lock:
            self._active_since = time.monotonic()
            self._received_at.clear()
            self._answered_at.clear()

    def received(self) -> None:
        """Count an image that arrived."""
        with self._lock:
            self._counts['received'] += 1
            self._received_at.append(time.monotonic())

    def answered(self, result: FrameResult, latency: float) -> None:
        """Count an answer; ``latency`` in seconds."""
        with self._lock:
            self._counts['answered'] += 1
            self._counts['key_frames'] += result.decision.is_key_frame
            (self._key if result.decision.is_key_frame else self._other).append(latency)
            self._answered_at.append(time.monotonic())

    def rejected(self, error: ImageError) -> None:
        """Count an image that was refused."""
        with self._lock:
            self._rejected[error.reason] += 1
            self._trouble = (f'image rejected: {error}', time.monotonic())

    def waited(self, number: int) -> None:
        """Count packets of a video that came before the I-frame they rest on."""
        with self._lock:
            self._counts['waited_for_i_frame'] += number

    def lost(self, number: int, said: str) -> None:
        """Count messages that the middleware lost on the way; ``said`` tells the user."""
        with self._lock:
            self._counts['lost'] += number
            self._trouble = (said, time.monotonic())

    def failed(self, error: BaseException) -> None:
        """Count a frame that was lost to an error."""
        with self._lock:
            self._counts['errors'] += 1
            self._trouble = (f'{type(error).__name__}: {error}', time.monotonic())

    def slow_track_failed(self, error: BaseException) -> None:
        """Remember what went wrong in the slow track, which counts for itself."""
        with self._lock:
            self._trouble = (f'slow track: {type(error).__name__}: {error}', time.monotonic())

    def to_message(self, name: str, hardware: str, more: dict[str, Any], *, active: bool) -> DiagnosticStatus:
        """Return the status of this moment; ``more`` are counters and names other parts own."""
        with self._lock:
            now = time.monotonic()
            for moments in (self._received_at, self._answered_at):
                while moments and now - moments[0] > SPAN:
                    moments.popleft()
            last = self._answered_at[-1] if self._answered_at else self._active_since
            span = min(SPAN, max(now - self._active_since, 1e-3))
            values: dict[str, object] = {
                'received': 0,
                'answered': 0,
                'key_frames': 0,
                'errors': 0,
                'lost': 0,
            }
            values |= {**self._counts, **more, 'rejected': self._rejected.total()}
            values |= {f'rejected_{reason}': count for reason, count in sorted(self._rejected.items())}
            camera_hz, rate_hz = (len(m) / span for m in (self._received_at, self._answered_at))
            values |= {'camera_hz': f'{camera_hz:.2f}', 'rate_hz': f'{rate_hz:.2f}'}
            values['seconds_since_answer'] = f'{now - last:.3f}'
            windows = {'key': list(self._key), 'nonkey': list(self._other)}
            trouble, at = self._trouble
        windows['all'] = windows['key'] + windows['nonkey']
        for kind, window in windows.items():
            figures = percentiles(window).items()
            values |= {f'latency_{kind}_ms_{figure}': f'{value:.1f}' for figure, value in figures}
        values['last_trouble'] = trouble
        level, message = DiagnosticStatus.OK, 'segmenting' if active else 'inactive'
        recent = bool(trouble) and now - at < TROUBLE_SHOWN
        if active and not recent and rate_hz < KEPT_UP * camera_hz:  # no fault: the answer is to the newest
            message += f' {rate_hz:.1f} of {camera_hz:.1f} images a second; README says what is faster'
        if active and now - last > STALE_AFTER:
            level, message = DiagnosticStatus.WARN, f'no image was answered for {now - last:.0f} s'
            message += '' if recent else ': check the camera topic'
        if recent:
            level, message = DiagnosticStatus.WARN, f'{message}; {now - at:.0f} s ago: {trouble}'
        pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
        return DiagnosticStatus(level=level, name=name, message=message, hardware_id=hardware, values=pairs)
