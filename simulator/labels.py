"""What a simulated frame is, and the numbers of its classes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from simulator.truth import Truth


class Label(IntEnum):
    """The eleven classes of CamVid and void."""

    SKY = 0
    BUILDING = 1
    POLE = 2
    ROAD = 3
    PAVEMENT = 4
    TREE = 5
    SIGN = 6
    FENCE = 7
    CAR = 8
    PEDESTRIAN = 9
    BICYCLIST = 10
    VOID = 11


@dataclass(frozen=True, slots=True)
class StreetFrame:
    """One image of a simulated drive and its exact labels."""

    image: NDArray[np.uint8]
    """RGB pixels, shape ``(H, W, 3)``."""
    labels: NDArray[np.uint8]
    """Class numbers (see `Label`), shape ``(H, W)``."""
    stamp_ns: int
    """Time since the start of the drive in nanoseconds."""
    truth: Truth | None = None
    """Where everything is, if that was asked for."""
