"""The node's counters and latencies, and the message on /diagnostics made of them."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, NamedTuple

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from vss_ros.engine.options import NodeConfig
from vss_ros.latency import percentiles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vss_ros.engine.frames import FrameResult
    from vss_ros.images.image_error import ImageError

WINDOW = 300
"""Latencies kept for percentiles: 20 s at 15 Hz."""
SPAN = 5.0
"""Seconds over which rates are taken."""
KEPT_UP = 0.9
"""Share of answered images below which the message says that images are overwritten."""
HALF = 0.5
"""Share of answered images, of those received or lost, below which the status is no longer OK."""
STALE_AFTER = 2.0
"""Seconds without an image after which an active node is stale, and without an answer at fault."""
TROUBLE_SHOWN = 30.0
"""Seconds for which an error or a refused image keeps the status at WARN."""
SAID_EVERY = 1.0
"""Seconds between two log lines of one kind."""
TROUBLES = 3
"""Most kinds of trouble named in a status, the latest first."""


class Answer(NamedTuple):
    """When an image was answered, its latency and the age of its stamp; seconds."""

    at: float
    latency: float
    age: float


class Statistics:
    """Counters of one node; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: deque[float] = deque(maxlen=WINDOW)
        self._other: deque[float] = deque(maxlen=WINDOW)
        self._received_at: deque[tuple[float, int]] = deque()
        self._lost_at: deque[tuple[float, int]] = deque()
        self._answers: deque[Answer] = deque()
        self._said_at: dict[str, float] = {}
        self._limits = NodeConfig()
        self._counts: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._active_since = self._last_received = self._last_answer = time.monotonic()
        self._troubles: dict[str, tuple[float, str]] = {}  # when and what, by kind

    def activated(self, limits: NodeConfig) -> None:
        """Remember that images are expected from now on, and how soon they are to be answered."""
        with self._lock:
            self._active_since = self._last_received = self._last_answer = time.monotonic()
            self._limits = limits
            for window in (self._received_at, self._lost_at, self._answers):
                window.clear()

    def received(self) -> None:
        """Count an image that arrived."""
        with self._lock:
            self._counts['received'] += 1
            self._last_received = time.monotonic()
            self._received_at.append((self._last_received, 1))

    def answered(self, result: FrameResult, latency: float, age: float) -> None:
        """Count an answer; ``latency`` and the stamp's ``age`` in seconds."""
        with self._lock:
            self._counts['answered'] += 1
            self._counts['key_frames'] += result.decision.is_key_frame
            (self._key if result.decision.is_key_frame else self._other).append(latency)
            self._last_answer = time.monotonic()
            self._answers.append(Answer(self._last_answer, latency, age))

    def rejected(self, error: ImageError) -> None:
        """Count an image that was refused."""
        with self._lock:
            self._rejected[error.reason] += 1
            self._troubles['rejected'] = (time.monotonic(), f'image rejected: {error}')

    def waited(self, number: int) -> None:
        """Count packets of a video that came before the I-frame they rest on."""
        with self._lock:
            self._counts['waited_for_i_frame'] += number

    def noted(self, counter: str, number: int, said: str) -> bool:
        """Count what is wrong with what comes in or goes out; return whether to say it in the log, too."""
        with self._lock:
            self._counts[counter] += number
            now = time.monotonic()
            if counter == 'lost':
                self._lost_at.append((now, number))
            if not said:
                return False
            self._troubles[counter] = (now, said)
            due = now - self._said_at.get(counter, float('-inf')) >= SAID_EVERY
            if due:
                self._said_at[counter] = now
            return due

    def failed(self, error: BaseException) -> None:
        """Count a frame that was lost to an error."""
        with self._lock:
            self._counts['errors'] += 1
            self._troubles['error'] = (time.monotonic(), f'{type(error).__name__}: {error}')

    def slow_track_failed(self, error: BaseException) -> None:
        """Remember what went wrong in the slow track, which counts for itself."""
        with self._lock:
            said = f'slow track: {type(error).__name__}: {error}'
            self._troubles['slow_track'] = (time.monotonic(), said)

    def to_message(
        self, name: str, hardware: str, more: dict[str, Any], camera: str | None
    ) -> DiagnosticStatus:
        """Return the status of this moment.

        Args:
            name: Of the status.
            hardware: What computes.
            more: Counters and names that other parts own.
            camera: One sentence on topic and publishers; None: the node is not active.
        """
        with self._lock:
            now = time.monotonic()
            for window in (self._received_at, self._lost_at, self._answers):
                while window and now - window[0][0] > SPAN:
                    window.popleft()
            values: dict[str, object] = dict.fromkeys(
                ('received', 'answered', 'key_frames', 'errors', 'lost'), 0
            )
            values |= {**self._counts, **more, 'rejected': self._rejected.total()}
            values |= {f'rejected_{reason}': count for reason, count in sorted(self._rejected.items())}
            came, lost = (
                sum(number for _, number in window) for window in (self._received_at, self._lost_at)
            )
            answers, windows = list(self._answers), {'key': list(self._key), 'nonkey': list(self._other)}
            quiet = now - self._last_received
            troubles = sorted(self._troubles.values(), reverse=True)
            last, since = self._last_answer, self._active_since
        span = min(SPAN, max(now - since, 1e-3))
        values |= {'camera_hz': f'{(came + lost) / span:.2f}', 'rate_hz': f'{len(answers) / span:.2f}'}
        values['seconds_since_answer'] = f'{now - last:.3f}'
        windows['all'] = windows['key'] + windows['nonkey']
        values |= _milliseconds({f'latency_{kind}': window for kind, window in windows.items()})
        values |= _milliseconds({'age': [answer.age for answer in answers]})
        values['last_trouble'] = troubles[0][1] if troubles else ''
        recent = [(at, said) for at, said in troubles if now - at < TROUBLE_SHOWN][:TROUBLES]
        level, message = DiagnosticStatus.OK, 'inactive'
        if camera is not None:
            level, message = self._judged(camera, quiet, now - last, (came, lost), span, answers)
            slow = not recent and not lost and len(answers) < KEPT_UP * came
            if slow and level == DiagnosticStatus.OK:  # no fault: the answer is to the newest
                message += f' {len(answers) / span:.1f} of {came / span:.1f} images a second'
            message += '; README says what is faster' if slow and answers else ''
        for at, said in recent:
            level, message = max(level, DiagnosticStatus.WARN), f'{message}; {now - at:.0f} s ago: {said}'
        pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
        return DiagnosticStatus(level=level, name=name, message=message, hardware_id=hardware, values=pairs)

    def _judged(
        self,
        camera: str,
        quiet: float,
        unanswered: float,
        offered: tuple[int, int],
        span: float,
        answers: Sequence[Answer],
    ) -> tuple[bytes, str]:
        """Return level and sentence for what came and was answered in the last ``span`` seconds."""
        came, lost = offered
        if quiet > STALE_AFTER:
            return DiagnosticStatus.STALE, f'no image came for {quiet:.0f} s on {camera}'
        if unanswered > STALE_AFTER:
            return DiagnosticStatus.ERROR, f'no image was answered for {unanswered:.0f} s on {camera}'
        faults = []
        # One may be in hand.
        if len(answers) + 1 < HALF * (came + lost):
            said = f'{len(answers)} of {came + lost} images answered in {span:.0f} s, {lost} lost on the way'
            faults.append((DiagnosticStatus.WARN, said))
        rate, limits = len(answers) / span, self._limits
        if span >= STALE_AFTER and rate < limits.min_rate:
            level = DiagnosticStatus.ERROR if rate < limits.min_rate / 2 else DiagnosticStatus.WARN
            faults.append((level, f'{rate:.1f} answers a second, min_rate is {limits.min_rate:g}'))
        for name, limit, seconds in (
            ('max_latency', limits.max_latency, [answer.latency for answer in answers]),
            ('max_age', limits.max_age, [answer.age for answer in answers]),
        ):
            p95 = percentiles(seconds).get('p95', 0.0) / 1e3
            if 0 < limit < p95:
                level = DiagnosticStatus.ERROR if p95 > 2 * limit else DiagnosticStatus.WARN
                faults.append((level, f'{name} is {limit:g} s, got {p95:.3f} s'))
        if not faults:
            return DiagnosticStatus.OK, 'segmenting'
        return max(level for level, _ in faults), f'{"; ".join(said for _, said in faults)} ({camera})'


def _milliseconds(windows: Mapping[str, Sequence[float]]) -> dict[str, str]:
    return {
        f'{name}_ms_{figure}': f'{value:.1f}'
        for name, window in windows.items()
        for figure, value in percentiles(window).items()
    }
