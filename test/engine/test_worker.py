"""The newest item wins; an error costs one item, not the thread."""

from __future__ import annotations

import threading

from vss_ros.engine.tracks.worker import Worker


def test_newest_item_replaces_the_waiting_one() -> None:
    busy, go = threading.Event(), threading.Event()
    handled: list[int] = []

    def handle(item: int) -> None:
        busy.set()
        assert go.wait(10)
        handled.append(item)

    worker: Worker[int] = Worker(handle, lambda *_: None)
    worker.offer(0)
    assert busy.wait(10)
    for item in range(1, 6):
        worker.offer(item)
    go.set()
    while len(handled) < 2:
        threading.Event().wait(0.01)
    worker.stop()
    assert handled == [0, 5]
    assert worker.overwritten == 4


def test_error_is_reported_and_the_next_item_handled() -> None:
    errors: list[tuple[int, str]] = []
    done = threading.Event()

    def handle(item: int) -> None:
        if item == 0:
            msg = 'bad item'
            raise ValueError(msg)
        done.set()

    failed = threading.Event()

    def on_error(item: int, error: BaseException) -> None:
        errors.append((item, str(error)))
        failed.set()

    worker = Worker(handle, on_error)
    worker.offer(0)
    assert failed.wait(10)
    worker.offer(1)
    assert done.wait(10)
    worker.stop()
    assert errors == [(0, 'bad item')]


def test_stop_finishes_the_item_in_hand_and_drops_the_waiting_one() -> None:
    busy, go = threading.Event(), threading.Event()
    handled: list[int] = []

    def handle(item: int) -> None:
        busy.set()
        assert go.wait(10)
        handled.append(item)

    worker: Worker[int] = Worker(handle, lambda *_: None)
    worker.offer(1)
    assert busy.wait(10)
    worker.offer(2)
    threading.Timer(0.1, go.set).start()
    worker.stop()
    assert handled == [1]
    assert worker.overwritten == 1  # lost, and counted


def test_a_new_item_can_take_over_the_waiting_one() -> None:
    busy, go = threading.Event(), threading.Event()
    handled: list[tuple[int, ...]] = []

    def handle(item: tuple[int, ...]) -> None:
        busy.set()
        assert go.wait(10)
        handled.append(item)

    worker: Worker[tuple[int, ...]] = Worker(
        handle, lambda *_: None, merge=lambda waiting, newer: waiting + newer
    )
    worker.offer((0,))
    assert busy.wait(10)
    for number in range(1, 5):
        worker.offer((number,))
    go.set()
    while len(handled) < 2:
        threading.Event().wait(0.01)
    worker.stop()
    assert handled == [(0,), (1, 2, 3, 4)]
    assert worker.overwritten == 3
