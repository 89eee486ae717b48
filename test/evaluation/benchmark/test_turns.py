"""Contenders take turns fairly, and the slow track of one never runs into the turn of the next."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vss_ros.engine.options import SegmenterConfig
from vss_ros.engine.tracks import FastSlow
from vss_ros.evaluation.benchmark.contenders import Contender, propagations
from vss_ros.evaluation.benchmark.turns import TURN, Entry, take_turns, turns

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLAIN = SegmenterConfig(device='cpu', runtime='torch', precision='f32', threads=1, size=(96, 128))
RATE = 15.0


class Noting(Entry):
    """An entry that only notes when it was asked."""

    def __init__(self, name: str, notes: list[tuple[str, int]]) -> None:
        self._name, self._notes = name, notes

    def take_turn(self, images: Any, counted: int, rate: float) -> None:
        self._notes.append((self._name, counted))


def images() -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (90, 120, 3), np.uint8) for _ in range(3)]


def test_every_round_has_all_of_them_once_and_the_order_turns_round() -> None:
    notes: list[tuple[str, int]] = []
    seen: list[int] = []
    entries = [Noting(name, notes) for name in 'abc']
    take_turns(entries, images(), 2 * TURN + 5, RATE, lambda: seen.append(len(notes)))
    names = ''.join(name for name, _ in notes)
    assert names == 'abc' + 'cba' + 'abc'
    counted = {name: sum(n for other, n in notes if other == name) for name in 'abc'}
    assert counted == dict.fromkeys('abc', 2 * TURN + 5)
    assert seen == list(range(1, 10))
    assert turns(2 * TURN + 5) == 3


def test_the_first_frame_of_a_turn_does_not_count_and_frames_go_there_and_back() -> None:
    entry = Entry(Contender('mine', replace(PLAIN, propagation='none')), (90, 120))
    shown: list[int] = []
    numbered = [np.full((90, 120, 3), number, np.uint8) for number in range(3)]
    assert entry.built is not None
    step = entry.built.segmenter.step

    def noting(frame: Any) -> Any:
        shown.append(int(frame.image[0, 0, 0]))
        return step(frame)

    entry.built.segmenter.step = noting  # type: ignore[method-assign, assignment]
    start = time.perf_counter()
    entry.take_turn(numbered, 4, RATE)
    assert time.perf_counter() - start >= 4 / RATE  # paced, though nothing computes meanwhile
    entry.take_turn(numbered, 2, RATE)
    assert shown == [0, 1, 2, 1, 0, 1, 2, 1]
    assert len(entry.seconds) == 6
    assert entry.steps == entry.key_frames == 8
    assert entry.cpu_seconds > 0
    entry.close()


def test_a_slow_track_gets_its_frames_at_the_rate_and_ends_with_the_turn() -> None:
    (fast_slow,) = propagations(PLAIN, ['flow_warp'], ['fast_slow'], [('torch', 'f32')])
    config = replace(fast_slow.config, scheduler='fixed_interval', interval=2)
    entry = Entry(replace(fast_slow, config=config), (90, 120))
    assert entry.built is not None
    track = entry.built.segmenter.parts.track
    assert isinstance(track, FastSlow)
    compute = track.thread.compute

    def slow(given: torch.Tensor) -> torch.Tensor:
        time.sleep(0.05)  # so that the last frame, a key frame, is answered long before
        return compute(given)

    track.thread.compute = slow
    start = time.perf_counter()
    entry.take_turn(images(), 4, RATE)
    assert time.perf_counter() - start >= 4 / RATE
    assert track.busy  # from its last key frame on, until somebody takes what is ready
    assert track.collect() is not None
    assert 0 < entry.key_frames < entry.steps
    entry.close()


def test_finish_waits_for_the_slow_track() -> None:
    def compute(entry: torch.Tensor) -> torch.Tensor:
        time.sleep(0.05)
        return entry

    track = FastSlow(compute)
    track.finish()  # nothing to wait for
    track.submit(1, torch.zeros(1))
    track.finish()
    result = track.collect()
    assert result is not None
    assert result.number == 1
    track.close()
