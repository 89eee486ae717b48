"""Streaming accuracy: how right the newest mask is that a planner has at each labelled instant."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from vss_ros.engine.labels import resize_labels
from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.base import METRICS, Column, Metric, Naming
from vss_ros.evaluation.rows import rounded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from vss_ros.evaluation.metrics.base import ScoredFrame
    from vss_ros.evaluation.rows import FrameRow

NO_CLASS = 255
"""Predicted id of every pixel where nothing was published: a class nowhere, so an error everywhere."""


@dataclass(frozen=True, slots=True)
class PackedLabels:
    """One label map, compressed."""

    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, labels: NDArray[np.uint8]) -> PackedLabels:
        """Pack labels ``(H, W)``."""
        return cls(labels.shape, zlib.compress(labels.tobytes(), 1))

    def labels(self) -> NDArray[np.uint8]:
        """Return the labels, shape ``(H, W)``; not to be written to."""
        return np.frombuffer(zlib.decompress(self.data), np.uint8).reshape(self.shape)


class _Answer(NamedTuple):
    row: FrameRow
    labels: PackedLabels
    size: tuple[int, int]
    """In which it is published."""
    truth: PackedLabels | None


@METRICS.register('streaming', paper='Li et al. 2020')
class StreamingAccuracy(Metric):
    """Scores, at each labelled instant, the newest mask published by then (Li et al. 2020, streaming AP).

    The rule of "Towards Streaming Perception": at the time t of a label, the answer is the last one published
    at or before t, to any frame; where nothing was published yet (a miss), every pixel counts as
    wrong. *Newest* is the last published, as a subscriber that keeps one message has it; of
    several published at once, the one of the latest frame. Staleness is the number of camera frames from the
    one a mask answers to the labelled one: 0 would be an answer in no time, 1 is the best of a causal node
    that is faster than the camera. Misses have none.

    One stream is fed in time order, a mask before the label of the same frame::

        for stamp_ns, truth, published_ns, mask in ...:
            accuracy.add_mask(published_ns, stamp_ns, mask)  # where one was published
            accuracy.add_frame(stamp_ns, truth)  # truth None: a frame without label

    so that only the masks on their way are held. Call ``new_stream`` before each further recording. The
    answers of a replay, given to ``update``, are fed this way by ``finish``, once latencies are known.
    """

    columns = (
        Column(
            'streaming', ('streaming', 'score'), 'as a stream',
            '{score} of what a planner would have held at each labelled instant: the newest mask '
            'published by then. What was not yet published counts as wrong.',
            short=('as', 'stream %'),
        ),
        Column(
            'staleness', ('streaming', 'mean_staleness_frames'), 'age of masks',
            'Mean age of that newest mask; 1 is the best there is.',
            unit='frames', higher_is_better=False,
        ),
    )  # fmt: skip
    nothing: ClassVar[Mapping[str, Any]] = {'streaming': None}
    needs_latencies = True

    def __init__(self, classes: int, void_id: int) -> None:
        super().__init__(classes, void_id)
        self._answers: list[_Answer] = []
        self.new_stream()

    @property
    def labelled(self) -> int:
        """Labelled instants scored."""
        return self.sums['labelled']

    @property
    def misses(self) -> int:
        """Labelled instants before the first mask."""
        return self.sums['misses']

    def update(self, frame: ScoredFrame) -> None:
        """Keep one answered frame of a replay until its latency is known."""
        truth = None if frame.truth is None else PackedLabels.of(frame.truth)
        size = (frame.mask.shape[0], frame.mask.shape[1])
        self._answers.append(_Answer(frame.row, PackedLabels.of(frame.labels), size, truth))

    def finish(self, latencies: Sequence[float]) -> None:
        """Score the frames as a node with these latencies, seconds, would have published their masks.

        Each stretch without a break is a stream of its own.
        """
        stamps = [answer.row.stamp_ns for answer in self._answers]
        # A stamp that comes twice is no instant of its own: the stream is cut there as well.
        answers = enumerate(self._answers)
        starts = [at for at, answer in answers if answer.row.starts_stream or stamps[at] <= stamps[at - 1]]
        for first, end in zip(starts, [*starts[1:], len(stamps)], strict=True):
            self.new_stream()
            times = publish_times(stamps[first:end], latencies[first:end])
            for answer, time in zip(self._answers[first:end], times, strict=True):
                if time is not None:
                    mask = resize_labels(answer.labels.labels(), answer.size)
                    self.add_mask(time, answer.row.stamp_ns, mask)
                self.add_frame(answer.row.stamp_ns, None if answer.truth is None else answer.truth.labels())

    def values(self, naming: Naming) -> dict[str, Any]:
        """Return mIoU (or agreement) over the labelled instants and the masks' mean age."""
        ratios = {naming.score: self.miou, 'mean_staleness_frames': self.mean_staleness_frames}
        counts = {'labelled': self.labelled, 'misses': self.misses}
        return {'streaming': {name: rounded(value) for name, value in ratios.items()} | counts}

    def new_stream(self) -> None:
        """Forget frames and masks of the stream so far; the scores stay."""
        self._stamps: list[int] = []
        self._coming: deque[tuple[int, int, NDArray[np.uint8]]] = deque()
        self._held: tuple[int, int, NDArray[np.uint8]] | None = None

    def add_mask(self, published_ns: int, stamp_ns: int, mask: NDArray[np.uint8]) -> None:
        """Note a published mask; it counts from the first label at or after ``published_ns``.

        Args:
            published_ns: When it was published, nanoseconds in the frames' clock.
            stamp_ns: Stamp of the frame it answers.
            mask: Class ids, ``(H, W)``; held, not copied.

        Raises:
            VssError: It was published before its frame was taken, or before one already noted.
        """
        if published_ns < stamp_ns:
            early = (stamp_ns - published_ns) / 1e9
            raise VssError(
                f'expected masks published after their frames, got one {early:.3f} s before; '
                f'take both times from one clock'
            )
        if self._coming and published_ns < self._coming[-1][0]:
            raise VssError('expected masks in the order they were published; sort them by that time')
        self._coming.append((published_ns, stamp_ns, mask))

    def add_frame(self, stamp_ns: int, truth: NDArray[np.uint8] | None) -> None:
        """Note a camera frame and, where it has a label, score what had been published by its stamp.

        Args:
            stamp_ns: Its stamp in nanoseconds.
            truth: Class ids and ``void_id``, ``(H, W)``; None where the frame has no label.

        Raises:
            VssError: The frames are not in order of time, or mask and truth differ in shape.
        """
        if self._stamps and stamp_ns <= self._stamps[-1]:
            raise VssError(
                f'expected stamps that grow, got {stamp_ns} after {self._stamps[-1]}; '
                f'call new_stream() where a recording begins anew'
            )
        self._stamps.append(stamp_ns)
        while self._coming and self._coming[0][0] <= stamp_ns:
            arrived = self._coming.popleft()
            if self._held is None or arrived[:2] >= self._held[:2]:
                self._held = arrived
        if truth is None:
            return
        self.sums['labelled'] += 1
        if self._held is None:
            self.sums['misses'] += 1
            self.confusion.add(truth, np.full_like(truth, NO_CLASS))
            return
        _, answered_ns, mask = self._held
        self.confusion.add(truth, mask)
        self.sums['stale_frames'] += len(self._stamps) - bisect_right(self._stamps, answered_ns)

    @property
    def miou(self) -> float:
        """Mean IoU over all labelled instants, misses included, 0..1; NaN while nothing was added."""
        return self.confusion.miou

    @property
    def mean_staleness_frames(self) -> float:
        """Mean age of the masks in camera frames, over the instants that had one; NaN without any."""
        answered = self.labelled - self.misses
        return self.sums['stale_frames'] / answered if answered else float('nan')


def publish_times(stamps_ns: Sequence[int], latencies: Sequence[float]) -> list[int | None]:
    """Return when a node with these latencies would publish, newest frame first, one at a time.

    The node's worker holds one waiting frame, the newest: while it runs, later frames replace the waiting
    one. A frame that was replaced has no time here. Turns the latencies of a replay, which waits for every
    frame, into a stream at the camera's own speed.

    Args:
        stamps_ns: When the frames come, nanoseconds, growing.
        latencies: Seconds from taking each frame to publishing its mask.

    Returns:
        For each frame its time of publication in nanoseconds, None where it would have been dropped.
    """
    published: list[int | None] = [None] * len(stamps_ns)
    running_ns = [round(seconds * 1e9) for seconds in latencies]
    free_ns, waiting = 0, None
    for index, stamp_ns in enumerate(stamps_ns):
        if waiting is not None and free_ns <= stamp_ns:
            free_ns = published[waiting] = free_ns + running_ns[waiting]
            waiting = None
        if index == 0 or (waiting is None and free_ns <= stamp_ns):
            free_ns = published[index] = stamp_ns + running_ns[index]
        else:
            waiting = index
    if waiting is not None:
        published[waiting] = free_ns + running_ns[waiting]
    return published
