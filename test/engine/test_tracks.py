"""The slow track in its own thread: busy until its result is fetched, errors are results too."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import torch

from vss_ros.engine.tracks import FastSlow, SlowResult
from vss_ros.engine.tracks import fast_slow as tracks

if TYPE_CHECKING:
    import pytest


def collected(track: FastSlow) -> SlowResult:
    """Return the result as soon as it is there."""
    end = time.monotonic() + 10
    while (result := track.collect()) is None:
        assert track.busy
        assert time.monotonic() < end, 'no result'
        time.sleep(0.005)
    return result


def test_busy_from_submit_until_the_result_is_collected() -> None:
    go = threading.Event()

    def compute(entry: torch.Tensor) -> torch.Tensor:
        assert go.wait(10)
        return 2 * entry

    track = FastSlow(compute)
    busy = [track.busy]
    track.submit(7, torch.ones(1))
    busy.append(track.busy)
    assert track.collect() is None
    busy.append(track.busy)
    go.set()
    result = collected(track)
    busy.append(track.busy)
    assert busy == [False, True, True, False]
    assert (result.number, result.error) == (7, None)
    assert result.high is not None
    assert result.high.item() == 2
    assert track.collect() is None
    track.close()


def test_an_error_is_a_result_and_the_track_goes_on() -> None:
    faults = [ValueError('first'), None]

    def compute(entry: torch.Tensor) -> torch.Tensor:
        fault = faults.pop(0)
        if fault is not None:
            raise fault
        return entry

    track = FastSlow(compute)
    track.submit(1, torch.ones(1))
    result = collected(track)
    assert (result.number, result.high, str(result.error)) == (1, None, 'first')
    track.submit(2, torch.ones(1))
    assert collected(track).error is None
    track.close()


def test_a_computation_that_hangs_is_given_up_and_another_thread_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracks, 'HANG_S', 0.3)
    go, hang = threading.Event(), threading.Event()

    def compute(entry: torch.Tensor) -> torch.Tensor:
        if hang.is_set():
            assert go.wait(20)
        return 2 * entry

    track = FastSlow(compute)
    track.submit(1, torch.ones(1))
    assert collected(track).error is None
    hang.set()
    track.submit(2, torch.ones(1))
    result = collected(track)
    assert (result.number, result.high) == (2, None)
    assert isinstance(result.error, TimeoutError)
    hang.clear()
    track.submit(3, torch.full((1,), 5.0))
    result = collected(track)
    assert result.high is not None
    assert (result.number, result.high.item()) == (3, 10)
    go.set()  # what hung ends at last, and changes nothing
    track.thread.hung[0]._thread.join(10)
    assert track.collect() is None
    track.close()


def test_no_more_than_a_few_threads_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracks, 'HANG_S', 0.02)
    go = threading.Event()

    def compute(entry: torch.Tensor) -> torch.Tensor:
        assert go.wait(20)
        return entry

    track = FastSlow(compute)
    for number in range(tracks.MOST_HUNG):
        track.submit(number, torch.ones(1))
        assert isinstance(collected(track).error, TimeoutError)
    track.submit(9, torch.ones(1))
    for _ in range(2):  # said again and again
        assert 'restart the node' in str(collected(track).error)
        assert track.busy
    began = time.monotonic()
    track.close()
    assert time.monotonic() - began < 5
    go.set()


def test_it_rests_for_its_share_of_the_time() -> None:
    def compute(entry: torch.Tensor) -> torch.Tensor:
        time.sleep(0.02)
        return entry

    track = FastSlow(compute, duty=0.1)
    start = time.monotonic()
    track.submit(1, torch.ones(1))
    collected(track)
    while track.busy:
        time.sleep(0.001)
    assert time.monotonic() - start >= 0.2
    track.close()


def test_several_tracks_are_served_in_turn_and_what_waits_can_be_replaced() -> None:
    go, served = threading.Semaphore(0), []

    def compute(entry: torch.Tensor) -> torch.Tensor:
        served.append(entry.item())
        assert go.acquire(timeout=20)
        return entry

    first = FastSlow(compute)
    second, third = first.another(1.0), first.another(1.0)
    first.submit(1, torch.tensor(1.0))
    while not first.thread.serves(first):
        time.sleep(0.001)
    second.submit(2, torch.tensor(2.0))
    third.submit(3, torch.tensor(3.0))
    assert second.busy
    assert second.withdraw()  # it waits, so that a newer one may take its place, and its turn
    second.submit(4, torch.tensor(4.0))
    assert not first.withdraw()  # it is being computed
    go.release()
    assert collected(first).number == 1
    first.submit(5, torch.tensor(5.0))  # was served last
    for _ in range(3):
        go.release()
    assert {collected(track).number for track in (second, third)} == {3, 4}
    assert collected(first).number == 5
    assert served in ([1, 4, 3, 5], [1, 3, 4, 5])
    for track in (first, second, third):
        track.close()
    assert not first.thread._worker.alive


def test_a_computation_that_hangs_holds_no_other_track_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracks, 'HANG_S', 0.1)
    go = threading.Event()

    def compute(entry: torch.Tensor) -> torch.Tensor:
        if not entry.item():
            assert go.wait(20)
        return entry

    hung = FastSlow(compute)
    hung.thread.longest = 0.001
    other = hung.another(1.0)
    hung.submit(1, torch.zeros(1))  # its stream ends, and nobody collects
    other.submit(2, torch.ones(1))
    assert collected(other).error is None
    assert isinstance(collected(hung).error, TimeoutError)
    go.set()
    for track in (hung, other):
        track.close()
