"""A recording is played at its own pace: who is slow misses images, who is far too slow is given up."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from evaluation_parts import Clock

from vss_ros.engine.frames import AnsweredBy, Frame, Reason
from vss_ros.engine.options import SegmenterConfig
from vss_ros.errors import VssError
from vss_ros.evaluation.tune import drive as module
from vss_ros.evaluation.tune.drive import EARLY, Recording, Trial, drive, read
from vss_ros.images.classes import load_classes
from vss_ros.recordings.source import Source, SourceFrame

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

TABLE = load_classes('camvid11')
PERIOD = 0.1
ONES = np.ones((4, 6), np.uint8)


class Slow:
    """Answers class 1 and takes as long as it is told."""

    def __init__(self, clock: Clock, seconds: Sequence[float]) -> None:
        self._clock, self._seconds, self.seen = clock, iter(seconds), list[int]()
        self.parts = SimpleNamespace(track=SimpleNamespace(finish=lambda: None))

    def step(self, frame: Frame) -> Any:
        self._clock.now += next(self._seconds)
        self.seen.append(frame.index)
        first = len(self.seen) == 1
        reason = Reason.FIRST if first else Reason.INTERVAL
        return SimpleNamespace(
            labels=ONES,
            size=(4, 6),
            track=AnsweredBy.FAST,
            decision=SimpleNamespace(reason=reason, is_key_frame=first),
        )


def recording(frames: int, period: float = PERIOD) -> Recording:
    images = [Frame(np.zeros((4, 6, 3), np.uint8), round(i * period * 1e9), i) for i in range(frames)]
    return Recording(images, [ONES if i % 2 else ONES * 2 for i in range(frames)], TABLE)


def driven(
    monkeypatch: pytest.MonkeyPatch, seconds: Sequence[float], frames: int, budget: float = 1.0
) -> tuple[Trial, Slow]:
    clock, trial = Clock(), Trial(SegmenterConfig())
    monkeypatch.setattr(module, 'time', clock)
    slow = Slow(clock, seconds)
    built: Any = SimpleNamespace(segmenter=slow)
    drive(built, trial, recording(frames), frames, budget)
    return trial, slow


def test_who_is_in_time_answers_all(monkeypatch: pytest.MonkeyPatch) -> None:
    trial, _ = driven(monkeypatch, [0.5 * PERIOD] * 30, 30)
    assert (trial.sent, trial.answered, trial.key_frames, trial.given_up) == (30, 30, 1, False)
    assert trial.seconds == pytest.approx([0.5 * PERIOD] * 29)  # not the first of the stream
    assert trial.tracks == {AnsweredBy.FAST: 30}
    assert trial.score == pytest.approx(0.25)  # of two classes one has half of its pixels, the other none


def test_who_is_late_waits_and_misses_what_came_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    trial, slow = driven(monkeypatch, [0.01, 3.5 * PERIOD, *[0.01] * 20], 10)
    assert slow.seen == [0, 1, 4, 5, 6, 7, 8, 9]  # 2 and 3 were replaced by 4 while 1 was answered
    assert (trial.sent, trial.answered) == (10, 8)
    assert trial.seconds[:3] == pytest.approx([0.35, 0.06, 0.01])  # half a period of waiting is in the second


def test_who_is_far_too_slow_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    trial, slow = driven(monkeypatch, [0.021] * 50, 50, budget=0.01)
    assert trial.given_up
    assert len(slow.seen) == trial.sent == EARLY
    trial, _ = driven(monkeypatch, [0.019] * 50, 50, budget=0.01)  # late, but it may be the fastest there is
    assert not trial.given_up
    assert trial.sent == 50


def test_a_silence_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, trial = Clock(), Trial(SegmenterConfig())
    monkeypatch.setattr(module, 'time', clock)
    built: Any = SimpleNamespace(segmenter=Slow(clock, [0.01] * 3))
    drive(built, trial, recording(3, period=600.0), 3, 1.0)
    assert clock.now == pytest.approx(5.0 + 2 * module.LONGEST + 0.01)


class Film(Source):
    """Frames at 10 Hz, the last ones of another size."""

    def __iter__(self) -> Iterator[SourceFrame]:
        for index in count():
            size = (4, 6) if index < 60 else (6, 4)
            yield SourceFrame(Frame(np.zeros((*size, 3), np.uint8), index * 10**8, index), None)


def test_reads_from_a_second_on_frames_of_one_size(tmp_path: Path) -> None:
    found = read(Film(tmp_path), TABLE, 2.5, 1000)
    assert [frame.index for frame in found.frames] == list(range(25, 60))
    assert found.camera == (4, 6)
    with pytest.raises(VssError, match=f'at least {EARLY} frames of one size from second 5 on, got 10'):
        read(Film(tmp_path), TABLE, 5.0, 1000)
