"""What every executable of the package needs: a clean stop by signal, message classes by name."""

from __future__ import annotations

import signal
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

# Short enough that a stop is prompt, long enough to cost nothing.
_NAP_NS = 20_000_000


class StopRequest:
    """Turns SIGINT and SIGTERM into a flag, so that work ends where it is safe and the exit code is 0.

    A plain flag rather than an Event: setting an Event in a signal handler can deadlock with a wait on it.
    """

    def __init__(self) -> None:
        """Install the handlers; to be called in the main thread."""
        self.requested = False
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Remember the wish."""
        self.requested = True

    def sleep_until(self, deadline_ns: int) -> bool:
        """Sleep until a moment of ``time.monotonic_ns``, or until somebody wants to stop.

        Args:
            deadline_ns: The moment; one in the past returns at once.

        Returns:
            Whether to go on.
        """
        while not self.requested:
            left = deadline_ns - time.monotonic_ns()
            if left <= 0:
                return True
            time.sleep(min(left, _NAP_NS) / 1e9)
        return False


def load_message_type(name: str) -> Any | None:
    """Import a message class.

    Args:
        name: Such as ``sensor_msgs/msg/Image``.

    Returns:
        The class, or None where this environment lacks it.
    """
    package, _, message = name.partition('/msg/')
    try:
        return getattr(import_module(f'{package}.msg'), message)
    except (ImportError, AttributeError):
        return None
