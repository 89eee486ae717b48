"""What a stream of decisions says: key frames, distances, latencies, drops by cause."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from vss_ros.engine.latency import percentiles
from vss_ros.errors import VssError


class Decided(Protocol):
    """What is looked at of one frame's decision; ``DecisionRow`` and ``FrameRow`` have it."""

    @property
    def is_key_frame(self) -> bool:
        """Whether the frame became the source of the frames after it."""

    @property
    def reason(self) -> str:
        """Why it did, or did not."""

    @property
    def frames_since_key(self) -> int:
        """Frames since the key frame that the answer comes from."""


class StreamCounts:
    """Counts the answered frames of any number of streams; order does not matter."""

    def __init__(self) -> None:
        """Start empty."""
        self._reasons: Counter[str] = Counter()
        self._distances: Counter[int] = Counter()
        self._drops: Counter[str] = Counter()
        self._key_frames = 0
        self._key_latencies: list[float] = []
        self._other_latencies: list[float] = []

    def add(self, row: Decided, latency: float | None = None) -> None:
        """Count an answered frame.

        Args:
            row: Its decision.
            latency: Seconds from its receipt to its publication; None where nobody looked at a clock.
        """
        self._reasons[row.reason] += 1
        self._distances[row.frames_since_key] += 1
        self._key_frames += row.is_key_frame
        if latency is not None:
            (self._key_latencies if row.is_key_frame else self._other_latencies).append(latency)

    def add_drops(self, cause: str, frames: int = 1) -> None:
        """Count frames that got no answer.

        Args:
            cause: Why, in the node's words: ``replaced`` (a newer one came while it waited), ``rejected``,
                ``error`` …
            frames: How many.

        Raises:
            VssError: The number is negative.
        """
        if frames < 0:
            raise VssError(f'expected 0 dropped frames or more, got {frames}')
        if frames:
            self._drops[cause] += frames

    def merge(self, other: StreamCounts) -> None:
        """Add the counts of other streams."""
        self._reasons += other._reasons
        self._distances += other._distances
        self._drops += other._drops
        self._key_frames += other._key_frames
        self._key_latencies += other._key_latencies
        self._other_latencies += other._other_latencies

    @property
    def frames(self) -> int:
        """Answered frames."""
        return self._reasons.total()

    @property
    def key_frames(self) -> int:
        """Answered frames that were key frames, whichever track answered."""
        return self._key_frames

    @property
    def key_frame_rate(self) -> float:
        """Share of the answered frames that were key frames, 0..1; NaN without frames."""
        return self.key_frames / self.frames if self.frames else float('nan')

    @property
    def mean_interval(self) -> float:
        """Frames per key frame; NaN without key frames."""
        return self.frames / self.key_frames if self.key_frames else float('nan')

    @property
    def distances(self) -> dict[int, int]:
        """Answered frames by ``frames_since_key``, growing."""
        return dict(sorted(self._distances.items()))

    @property
    def reasons(self) -> dict[str, int]:
        """Answered frames by the decision's reason, by name."""
        return dict(sorted(self._reasons.items()))

    @property
    def drops(self) -> dict[str, int]:
        """Frames without an answer by cause, by name."""
        return dict(sorted(self._drops.items()))

    @property
    def latency_ms(self) -> dict[str, float]:
        """p50, p95, p99 and max over all answered frames, milliseconds; empty without."""
        return percentiles(self._key_latencies + self._other_latencies)

    @property
    def latency_key_ms(self) -> dict[str, float]:
        """The same over key frames."""
        return percentiles(self._key_latencies)

    @property
    def latency_nonkey_ms(self) -> dict[str, float]:
        """The same over all other frames."""
        return percentiles(self._other_latencies)
