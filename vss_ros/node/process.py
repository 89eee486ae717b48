"""What every executable of the package needs: a clean stop by signal, message classes by name."""

from __future__ import annotations

import ctypes
import re
import signal
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vss_ros.errors import VssError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

SWITCH_S = 1e-4
"""Seconds after which a thread that runs Python lets one run that waits. With Python's own 5 ms the worker
waits twice as long for each image, until the executor has looked what else there is to do."""
KEPT_BYTES = 2**27
"""Freed memory that stays with the process."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX, _LARGEST_IN_HEAP = -1, -3, -8, 2**25

# Short enough that a stop is prompt, long enough to cost nothing.
_NAP_NS = 20_000_000


class StopRequest:
    """Turns SIGINT and SIGTERM into a flag, so that work ends where it is safe and the exit code is 0.

    To be made in the main thread. A plain flag, since setting an Event in a handler can deadlock with a wait.
    """

    def __init__(self) -> None:
        self.requested = False
        self.at_once = False
        """Whether a signal raises ``SystemExit(0)`` wherever the main thread is: while it starts."""
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        if self.at_once:
            self.at_once = False  # a second signal must not disturb the end
            raise SystemExit(0)

    def finished(self) -> None:
        """Ignore signals from now on: Python, while it ends, would let the next one kill the process."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def sleep_until(self, deadline_ns: int) -> bool:
        """Sleep until a moment of ``time.monotonic_ns``, or until a stop; return whether to go on."""
        while not self.requested:
            left = deadline_ns - time.monotonic_ns()
            if left <= 0:
                return True
            time.sleep(min(left, _NAP_NS) / 1e9)
        return False


def suit_images() -> None:
    """Set this process up for images: a quick change of threads, and memory that is kept for the next one.

    Memory that goes back to the system comes again as pages that are cleared one by one: taking an image of
    2 MB then lasts five times as long, in a process that has not freed larger blocks before. Two heaps serve
    all threads, not one each: threads come and go with every activation, and a heap keeps the most that was
    ever in it.
    """
    sys.setswitchinterval(SWITCH_S)
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)  # glibc has it
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_IN_HEAP)
        mallopt(_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(_ARENA_MAX, 2)


def give_memory_back() -> None:
    """Return to the system what starting has freed: tens of megabytes that images do not need."""
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        trim(0)


def start_ros(name: str, arguments: Sequence[str] | None) -> bool:
    """Initialise ROS with the command line; say in one line why not, and return False."""
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    try:
        rclpy.init(
            args=None if arguments is None else list(arguments),
            signal_handler_options=SignalHandlerOptions.NO,
        )
    except Exception as error:  # noqa: BLE001 (the class of rcl's errors is private)
        reason = re.sub(r', at /\S+:\d+', '', str(error)).removeprefix('failed to initialize rcl: ')
        sys.stderr.write(f'{name}: {reason}; correct this argument after --ros-args\n')
        return False
    return True


def run_process(
    name: str, arguments: Sequence[str] | None, body: Callable[[list[str], StopRequest], None]
) -> int:
    """Run what a process does with ROS set up around it.

    Args:
        name: The executable's, for errors.
        arguments: The command line with the program's name; None for ``sys.argv``.
        body: Called with the arguments that are not ROS's own, and with what says when to stop.

    Returns:
        0, also after SIGINT and SIGTERM; 2 after an error of the user's concern.
    """
    stop = StopRequest()
    import rclpy

    arguments = list(sys.argv if arguments is None else arguments)
    if not start_ros(name, arguments):
        return 2
    try:
        body(rclpy.utilities.remove_ros_args(arguments)[1:], stop)
    except VssError as error:
        sys.stderr.write(f'{name}: {error}\n')
        return 2
    finally:
        rclpy.try_shutdown()
        stop.finished()
    return 0


def end_with(event: Any, context: Any, *, respawns: Iterator[int] | None = None) -> None:
    """End a launch with a status other than 0 where a process failed; to be its ``on_exit``.

    Args:
        event: The launch's ``ProcessExited``.
        context: The launch's.
        respawns: Yields as often as a process that a signal killed is started again. One that cannot start
            never is.

    Raises:
        RuntimeError: What launch ends on.
    """
    if not context.is_shutdown and (
        event.returncode > 0 or (event.returncode and next(respawns or iter(()), None) is None)
    ):
        msg = f'{event.process_name} ended with status {event.returncode}; its last lines above say why'
        raise RuntimeError(msg)


def load_message_type(name: str) -> Any | None:
    """Return a message class such as ``sensor_msgs/msg/Image``, None where this environment lacks it."""
    package, _, message = name.partition('/msg/')
    try:
        return getattr(import_module(f'{package}.msg'), message)
    except (ImportError, AttributeError):
        return None
