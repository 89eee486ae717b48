"""A thread that takes the messages of one subscription as they come.

An executor prepares, for every message, to wait for each service, timer and event of the node, some forty,
and looks at all of them before it takes what has come: half of what the node costs beside the network.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from rclpy.callback_groups import CallbackGroup
from rclpy.guard_condition import GuardCondition
from rclpy.impl.implementation_singleton import rclpy_implementation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOOK_NS = 500_000_000
"""After which it looks whether ROS has been shut down."""
AFTER_ERROR_S = 0.01


class LeftAlone(CallbackGroup):
    """Of a subscription and its events, which executors leave to a reader: one of them wakes for all."""

    def can_execute(self, entity: Any) -> bool:  # noqa: ARG002
        """Refuse it."""
        return False

    beginning_execution = can_execute

    def ending_execution(self, entity: Any) -> None:
        """Take note of nothing."""


class Reader:
    """Calls a subscription's callback, in a thread of its own, with each message and its information.

    Args:
        subscription: Of the group ``LeftAlone``; to be destroyed after ``close`` only.
        context: The node's.
        on_error: Called, in that thread, with what taking a message or the callback raised; it goes on.
    """

    def __init__(self, subscription: Any, context: Any, on_error: Callable[[BaseException], None]) -> None:
        self._subscription, self._context, self._on_error = subscription, context, on_error
        self._stopping = False
        self._stop = GuardCondition(None, None, context)
        self._thread = threading.Thread(target=self._run, name='images', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish the callback in hand and end the thread."""
        self._stopping = True
        self._stop.trigger()
        self._thread.join()
        self._stop.destroy()

    def _run(self) -> None:
        events = self._subscription.event_handlers
        with ExitStack() as stack:
            for held in (self._context.handle, self._subscription.handle, self._stop.handle, *events):
                stack.enter_context(held)
            wait_set = rclpy_implementation.WaitSet(1, 1, 0, 0, 0, len(events), self._context.handle)
            while not self._stopping and self._context.ok():
                try:
                    self._wait(wait_set, events)
                except Exception as error:  # noqa: BLE001 (reported: one message must not end the camera)
                    if self._context.ok():
                        self._on_error(error)
                        time.sleep(AFTER_ERROR_S)

    def _wait(self, wait_set: Any, events: Sequence[Any]) -> None:
        subscription = self._subscription
        wait_set.clear_entities()
        wait_set.add_subscription(subscription.handle)
        wait_set.add_guard_condition(self._stop.handle)
        for event in events:
            event.add_to_wait_set(wait_set)
        wait_set.wait(LOOK_NS)
        if wait_set.get_ready_entities('subscription'):
            taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
            if taken is not None:
                subscription.callback(*taken)
        for event in events:
            if event.is_ready(wait_set) and (data := event.take_data()) is not None:
                event.callback(data)
