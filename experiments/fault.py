"""A class of faults of a robot's day: what is done to the node, and how it is known to have been seen."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from experiments.robot import image_message

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from sensor_msgs.msg import CompressedImage, Image

    from experiments.robot import Robot

    Injection = Callable[[Robot, random.Random], None]


@dataclass(frozen=True)
class Fault:
    """One class of faults."""

    inject: Injection
    counters: tuple[str, ...]
    """Of the diagnostics: one of them has to rise."""
    executable: str = 'segmentation_node'
    transport: str = 'raw'
    dear: bool = False
    """Whether it starts processes, too many for a soak."""


FAULTS: Final[dict[str, Fault]] = {}


def fault(*counters: str, **more: Any) -> Callable[[Injection], Injection]:
    """Register a class under the function's name; see ``Fault``."""

    def register(function: Injection) -> Injection:
        FAULTS[function.__name__] = Fault(function, counters, **more)
        return function

    return register


def harmless() -> list[str]:
    """Return the names of the faults that need nothing but messages from outside."""
    plain = Fault.executable, Fault.transport, False
    return [name for name, one in FAULTS.items() if (one.executable, one.transport, one.dear) == plain]


def picture(bench: Robot) -> Image:
    """Return a good image of now."""
    return image_message(bench.next_image(), time.time_ns())


def deal(bench: Robot, message: Image | CompressedImage, kind: str) -> None:
    """Send a message and let it be dealt with."""
    bench.send(message, kind)
    bench.spin(0.1)
