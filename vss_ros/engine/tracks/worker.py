"""A thread that always works on the newest item."""

from __future__ import annotations

import threading
import traceback
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar('T')


class Worker(Generic[T]):
    """One thread behind a one-slot mailbox: a new item replaces one that still waits, or is merged with it.

    Any exception of ``handle`` goes to ``on_error``, and the thread goes on with the next item.

    Args:
        handle: Called in the thread with each item.
        on_error: Called in the thread with the item and what was raised.
        merge: Makes of the waiting item and the new one the item that waits from now on; it is called while
            both sides wait, so it should only put them together. By default the new one.
    """

    def __init__(
        self,
        handle: Callable[[T], None],
        on_error: Callable[[T, BaseException], None],
        name: str = 'worker',
        merge: Callable[[T, T], T] | None = None,
    ) -> None:
        self._handle, self._on_error, self._merge = handle, on_error, merge
        self._condition = threading.Condition()
        self._waiting: T | None = None
        self._overwritten = 0
        self._since = 0.0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def overwritten(self) -> int:
        """Items that got no turn of their own: a newer one or the stop was first."""
        return self._overwritten

    def offer(self, item: T) -> None:
        """Put an item into the mailbox and return at once."""
        with self._condition:
            if self._waiting is not None:
                self._overwritten += 1
                item = item if self._merge is None else self._merge(self._waiting, item)
            self._waiting = item
            self._condition.notify()

    @property
    def busy_s(self) -> float:
        """Seconds for which the item in hand has been worked on; 0 where there is none."""
        since = self._since
        return monotonic() - since if since else 0.0

    @property
    def alive(self) -> bool:
        """Whether the thread has not ended yet."""
        return self._thread.is_alive()

    def stop(self, wait_s: float | None = None) -> None:
        """Finish the item in hand, drop the waiting one, end the thread; wait for it, at most ``wait_s``."""
        with self._condition:
            self._stopping = True
            self._overwritten += self._waiting is not None
            self._waiting = None
            self._condition.notify()
        if self._thread is not threading.current_thread():
            self._thread.join(wait_s)

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._waiting is not None or self._stopping)
                item, self._waiting = self._waiting, None
                if self._stopping or item is None:
                    return
            self._since = monotonic()
            try:
                self._handle(item)
            except Exception as error:  # noqa: BLE001 (reported; the thread must outlive any one item)
                self._report(item, error)
            self._since = 0.0

    def _report(self, item: T, error: BaseException) -> None:
        try:
            self._on_error(item, error)
        except Exception:  # noqa: BLE001 (a report that fails must not end the thread, nor be lost)
            traceback.print_exc()
