"""Plays a recording to a segmenter at its own rate, as a camera does, and scores what it answered."""

from __future__ import annotations

import gc
import time
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate, dropwhile, islice, pairwise
from statistics import median
from typing import TYPE_CHECKING

from vss_ros.engine.labels import resize_labels
from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix
from vss_ros.evaluation.rows import STREAM_STARTS
from vss_ros.latency import percentiles

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.engine.build import Built
    from vss_ros.engine.frames import AnsweredBy, Frame
    from vss_ros.engine.options import SegmenterConfig
    from vss_ros.images.classes import ClassTable
    from vss_ros.recordings.source import Source

Answers = dict[int, 'NDArray[np.uint8]']
EARLY = 20
"""Frames after which a candidate far beyond the budget is given up."""
TWICE = 2.0
"""Times the budget that most of these may not take."""
LONGEST = 1.0
"""Seconds that a silence of the recording lasts at most; stamps that jump back have none."""
MOST_BYTES = 2**30
"""Of images held in memory; a recording of larger ones is cut short."""


@dataclass(frozen=True)
class Recording:
    """Part of a recording, in memory."""

    frames: list[Frame]
    truth: list[NDArray[np.uint8] | None]
    """Class ids and the void id; the best network's answers where the recording has no masks."""
    table: ClassTable

    @property
    def camera(self) -> tuple[int, int]:
        """Height and width of the images."""
        height, width = self.frames[0].image.shape[:2]
        return height, width


@dataclass
class Trial:
    """One configuration and what came of it."""

    config: SegmenterConfig
    seconds: list[float] = field(default_factory=list)
    """From the image to the mask at the camera's size, waiting included; the first of a stream left out."""
    sent: int = 0
    answered: int = 0
    key_frames: int = 0
    tracks: Counter[AnsweredBy] = field(default_factory=Counter)
    """Who answered how often."""
    cpu_seconds: float = 0.0
    """Of all threads, the slow track's included."""
    given_up: bool = False
    score: float = float('nan')
    """mIoU of the answers, 0..1."""

    @property
    def ms(self) -> dict[str, float]:
        """p50, p95, p99 and max in milliseconds, without what the node adds."""
        return percentiles(self.seconds)


def read(source: Source, table: ClassTable, start: float, number: int) -> Recording:
    """Return so many frames from a second on, those of the first one's size, with their masks.

    Raises:
        VssError: There are fewer than ``EARLY``.
    """
    stamps: list[int] = []

    def too_early(pair: tuple[Frame, object]) -> bool:
        stamps.append(pair[0].stamp_ns)
        return stamps[-1] - stamps[0] < start * 1e9

    found = Recording([], [], table)
    for frame, mask in islice(dropwhile(too_early, source), number):
        if found.frames and frame.image.shape != found.frames[0].image.shape:
            break
        if len(found.frames) * frame.image.nbytes > MOST_BYTES:
            break
        found.frames.append(frame)
        found.truth.append(None if mask is None else table.truth(mask))
    if len(found.frames) < EARLY:
        raise VssError(
            f'{source.path}: expected at least {EARLY} frames of one size from second {start:g} on, got '
            f'{len(found.frames)}; take a longer recording or an earlier --start'
        )
    return found


def drive(built: Built, trial: Trial, recording: Recording, frames: int, budget: float) -> Answers:
    """Play the first frames at their own pace; of images that come while one is answered the newest is next.

    Returns the labels of those that were answered, by their places.

    Args:
        built: Warmed up; a slow track of its own thread works beside, as on the robot.
        trial: Is filled in.
        recording: With truth.
        frames: How many.
        budget: Seconds for a frame, to give up what takes more than twice as long in the first ones.
    """
    images, answers, place = recording.frames[:frames], Answers(), 0
    steps = (min(max(b.stamp_ns - a.stamp_ns, 0) * 1e-9, LONGEST) for a, b in pairwise(images))
    due = list(accumulate(steps, initial=0.0))
    gc.collect()
    gc.freeze()  # as the node does: what was loaded before is not looked at while images come
    begin, busy = time.perf_counter(), time.process_time()
    while place < frames and not trial.given_up:
        came = begin + due[place]
        if came > time.perf_counter():
            time.sleep(max(came - time.perf_counter(), 0))
            came = time.perf_counter()
        else:
            now = time.perf_counter() - begin
            place = max(place, bisect_right(due, now) - 1)
            came = begin + due[place]
        result = built.segmenter.step(images[place])
        resize_labels(result.labels, result.size)
        if result.decision.reason.value not in STREAM_STARTS:
            trial.seconds.append(time.perf_counter() - came)
        trial.tracks[result.track] += 1
        trial.key_frames += result.decision.is_key_frame
        answers[place] = result.labels
        place += 1
        trial.given_up = len(answers) == EARLY < frames and median(trial.seconds) > TWICE * budget
    built.segmenter.parts.track.finish()
    trial.cpu_seconds = time.process_time() - busy
    gc.unfreeze()
    trial.sent, trial.answered = place, len(answers)
    trial.score = score(answers, recording)
    return answers


def score(answers: Answers, recording: Recording) -> float:
    """Return the mIoU of answers, by their places among the frames; NaN where none has a truth."""
    matrix = ConfusionMatrix(len(recording.table), recording.table.void_id)
    for place, labels in answers.items():
        truth = recording.truth[place]
        if truth is not None:
            matrix.add(truth, resize_labels(labels, (truth.shape[0], truth.shape[1])))
    return matrix.miou
