"""What a drive may meet beyond a clear day, a town's pace and a street that goes straight on for long."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STANDING = 0.1
"""Share of drives that wait while others move."""
CROSSING = 9.0
"""Metres from the middle of a crossing at which a turn begins, about."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Weather, traffic and way of one drive."""

    haze: float
    """Distance in metres at which the fog has swallowed 63 % of a colour."""
    speed: float
    """Of the driver on a straight street, metres per second."""
    density: float
    """Of traffic, parked cars and pedestrians, 1 being the usual."""
    turn: int
    """Way at the crossing, see `Layout.turn`."""
    start: float
    """Where the drive starts, see `Layout.start`."""


def draw_conditions(seed: int, part: int, seconds: float) -> Conditions:
    """Return the conditions of a drive that lasts some seconds; if it turns, then within them.

    Args:
        seed: Of the drive.
        part: Number of the scene within the drive.
        seconds: How long the scene lasts.

    """
    rng = np.random.default_rng([seed, part, 4])
    speed = 0.0 if rng.random() < STANDING else float(rng.uniform(2, 14))
    turn = int(rng.choice([1, -1, 0]))
    ahead = rng.uniform(0, 0.7) * speed * seconds if turn else rng.uniform(3, 76)
    return Conditions(
        haze=float(np.exp(rng.uniform(*np.log((60, 1500))))),
        speed=speed,
        density=float(np.exp(rng.uniform(*np.log((0.3, 2.5))))),
        turn=turn,
        start=-min(CROSSING + float(ahead), 85.0),
    )
