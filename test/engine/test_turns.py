"""Streams that share what computes: first come, first served, each its part of the time."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from vss_ros.engine.tracks import turns
from vss_ros.engine.tracks.turns import BURST_S, Share, Turns

if TYPE_CHECKING:
    import pytest


def test_turns_go_by_arrival_and_never_to_two() -> None:
    shared, order, inside = Turns(), [], []
    arrived = threading.Semaphore(0)

    def enter(number: int) -> None:
        arrived.release()
        with shared:
            inside.append(number)
            order.append((number, len(inside)))
            inside.remove(number)

    threads = []
    with shared:
        for number in range(5):
            threads.append(threading.Thread(target=enter, args=(number,)))
            threads[-1].start()
            assert arrived.acquire(timeout=10)
            while len(shared._waiting) <= number:
                time.sleep(0.001)
    for thread in threads:
        thread.join(10)
    assert order == [(number, 1) for number in range(5)]
    with shared:  # free again
        pass


def test_a_turn_ends_with_an_error_too() -> None:
    shared = Turns()
    for _ in range(2):
        try:
            with shared:
                raise ValueError
        except ValueError:
            pass
    assert not shared._taken


def test_who_floods_rests_and_who_comes_evenly_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = [100.0], [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        slept[0] += seconds

    monkeypatch.setattr(turns, 'monotonic', lambda: now[0])
    monkeypatch.setattr(turns, 'sleep', sleep)
    even = Share(0.25, [])
    for _ in range(30):
        now[0] += 0.067  # a camera at 15 Hz whose images take 5 ms
        even.rest(0.005)
    assert slept[0] == 0
    flooded, began, worked = Share(0.25, []), now[0], 0.0
    for _ in range(200):
        now[0] += 0.005
        worked += 0.005
        flooded.rest(0.005)
    assert slept[0] > 0
    assert worked / (now[0] - began + BURST_S) <= 0.25 + 1e-6
    assert worked / (now[0] - began) >= 0.24
    before = slept[0]
    now[0] += 10
    flooded.rest(5.0)  # compiling, once: not paid for as if it came again
    assert slept[0] - before < BURST_S * 4
