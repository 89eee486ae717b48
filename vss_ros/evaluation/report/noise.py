"""What two runs over the same frames differ by, and whether that is more than chance."""

from __future__ import annotations

from math import sqrt
from statistics import fmean, stdev
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK = 15
"""Frames in a row that say much the same: about one second of a camera."""
FEWEST_BLOCKS = 6
"""With fewer nothing is said; shorter inputs have shorter blocks."""
NORMAL_QUANTILE = 1.959964
"""Of 97.5 %."""


class Interval(NamedTuple):
    """Where a mean lies, with 95 % confidence."""

    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 where all of it is above 0, -1 where all is below, else 0: it may be chance."""
        return int(self.low > 0) - int(self.high < 0)


def confidence(differences: Sequence[float]) -> Interval | None:
    """Return the interval of the mean difference of frames in order of time, None for too few frames.

    Frames that follow one another are alike, so that blocks of them are the samples (batch means), with
    Student's quantile for their number.

    Args:
        differences: One per frame: after less before.

    """
    size = min(BLOCK, len(differences) // FEWEST_BLOCKS)
    if size < 1:
        return None
    count = len(differences) // size
    # What is left over at the end belongs to the last block.
    bounds = [size * number for number in range(count)] + [len(differences)]
    means = [fmean(differences[bounds[i] : bounds[i + 1]]) for i in range(count)]
    half = student_quantile(count - 1) * stdev(means) / sqrt(count)
    middle = fmean(differences)
    return Interval(middle - half, middle + half)


def student_quantile(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t (Fisher's expansion, 0.2 % off at 5 degrees of freedom)."""
    z = NORMAL_QUANTILE
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
