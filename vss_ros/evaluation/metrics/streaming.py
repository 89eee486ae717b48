"""Streaming accuracy: what a planner that looks at every labelled instant would have held in its hands."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from numpy.typing import NDArray

NO_CLASS = 255
"""Predicted id of every pixel where nothing was published: a class nowhere, so an error everywhere."""


class StreamingAccuracy:
    """Scores, at each labelled instant, the newest mask published by then (Li et al. 2020, streaming AP).

    The rule of "Towards Streaming Perception": at the time t of a label, the answer is the last one published
    at or before t, whatever frame it answers; where nothing was published yet (a miss), every pixel counts as
    wrong. *Newest* is the last published, as a subscriber that keeps one message has it; of
    several published at once, the one of the latest frame. Staleness is the number of camera frames from the
    one a mask answers to the labelled one: 0 would be an answer in no time, 1 is the best of a causal node
    that is faster than the camera. Misses have none.

    One stream is fed in time order, a mask before the label of the same frame::

        for stamp_ns, truth, published_ns, mask in ...:
            accuracy.add_mask(published_ns, stamp_ns, mask)  # where one was published
            accuracy.add_frame(stamp_ns, truth)  # truth None: a frame without label

    so that only the masks on their way are held. ``add`` takes a whole stream at once. Call ``new_stream``
    before each further recording.
    """

    def __init__(self, classes: int, void_id: int) -> None:
        """Start empty.

        Args:
            classes: Number of classes C.
            void_id: True label of pixels to ignore.

        Raises:
            VssError: The void id is a class id.
        """
        self.confusion = ConfusionMatrix(classes, void_id)
        """Over all labelled instants."""
        self.labelled = 0
        """Labelled instants scored."""
        self.misses = 0
        """Labelled instants before the first mask."""
        self._stale_frames = 0
        self.new_stream()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return a score that goes on, with a new stream, from what ``to_dict`` gave."""
        confusion = ConfusionMatrix.from_counts(values['counts'], values['void_id'])
        score = cls(confusion.classes, confusion.void_id)
        score.confusion = confusion
        score.labelled, score.misses = values['labelled'], values['misses']
        score._stale_frames = values['stale_frames']
        return score

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON from which the score can go on."""
        return {
            'void_id': self.confusion.void_id,
            'labelled': self.labelled,
            'misses': self.misses,
            'stale_frames': self._stale_frames,
            'counts': self.confusion.counts.tolist(),
        }

    def new_stream(self) -> None:
        """Forget frames and masks of the stream so far; the scores stay."""
        self._stamps: list[int] = []
        self._coming: deque[tuple[int, int, NDArray[np.uint8]]] = deque()
        self._held: tuple[int, int, NDArray[np.uint8]] | None = None

    def add(
        self,
        frames: Sequence[tuple[int, NDArray[np.uint8] | None]],
        masks: Sequence[tuple[int, int, NDArray[np.uint8]]],
    ) -> None:
        """Score one whole stream.

        Args:
            frames: Stamp in nanoseconds and truth ``(H, W)``, or None without label, of every camera frame.
            masks: When it was published and the stamp of the frame it answers, both in nanoseconds of the
                frames' clock, and the mask ``(H, W)``.

        Raises:
            VssError: As ``add_mask`` and ``add_frame``.
        """
        self.new_stream()
        for published_ns, stamp_ns, mask in sorted(masks, key=lambda entry: entry[:2]):
            self.add_mask(published_ns, stamp_ns, mask)
        for stamp_ns, truth in sorted(frames, key=lambda entry: entry[0]):
            self.add_frame(stamp_ns, truth)
        self.new_stream()

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
        self.labelled += 1
        if self._held is None:
            self.misses += 1
            self.confusion.add(truth, np.full_like(truth, NO_CLASS))
            return
        _, answered_ns, mask = self._held
        self.confusion.add(truth, mask)
        self._stale_frames += len(self._stamps) - bisect_right(self._stamps, answered_ns)

    def merge(self, other: StreamingAccuracy) -> None:
        """Add the scores of other streams.

        Raises:
            VssError: The classes differ.
        """
        self.confusion.merge(other.confusion)
        self.labelled += other.labelled
        self.misses += other.misses
        self._stale_frames += other._stale_frames

    @property
    def miou(self) -> float:
        """Mean IoU over all labelled instants, misses included, 0..1; NaN while nothing was added."""
        return self.confusion.miou

    @property
    def mean_staleness_frames(self) -> float:
        """Mean age of the masks in camera frames, over the instants that had one; NaN without any."""
        answered = self.labelled - self.misses
        return self._stale_frames / answered if answered else float('nan')


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
    free_ns, waiting = 0, None
    for index, stamp_ns in enumerate(stamps_ns):
        if waiting is not None and free_ns <= stamp_ns:
            free_ns = published[waiting] = free_ns + _nanoseconds(latencies[waiting])
            waiting = None
        if index == 0 or (waiting is None and free_ns <= stamp_ns):
            free_ns = published[index] = stamp_ns + _nanoseconds(latencies[index])
        else:
            waiting = index
    if waiting is not None:
        published[waiting] = free_ns + _nanoseconds(latencies[waiting])
    return published


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
