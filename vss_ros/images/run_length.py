"""Masks as Autoware sends them: runs of equal pixels, row after row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RECORD = np.dtype([('value', np.uint8), ('length', '<i4')])
"""Five bytes: a label, and of how many pixels in a row it is; a run goes on in the next row."""


def run_lengths(labels: NDArray[np.uint8]) -> NDArray[np.void]:
    """Return the runs of a mask ``(H, W)`` uint8 as ``RECORD``; their lengths add up to its size."""
    flat = labels.reshape(-1)
    starts = np.flatnonzero(np.concatenate(([True], flat[1:] != flat[:-1])))
    records = np.empty(len(starts), RECORD)
    records['value'] = flat[starts]
    records['length'] = np.diff(starts, append=len(flat))
    return records
