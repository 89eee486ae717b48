"""Label maps kept for later, deflated to a few per cent of their size."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PackedLabels:
    """One label map."""

    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, labels: NDArray[np.uint8]) -> PackedLabels:
        """Pack labels ``(H, W)``."""
        return cls(labels.shape, zlib.compress(labels.tobytes(), 1))

    def labels(self) -> NDArray[np.uint8]:
        """Return the labels, shape ``(H, W)``; not to be written to."""
        return np.frombuffer(zlib.decompress(self.data), np.uint8).reshape(self.shape)
