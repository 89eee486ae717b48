"""Labelled images, alone or with the frames before them; in memory or read when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

Pixels = NDArray[np.uint8]
READERS = 8
"""Threads that read files; decoding does not hold Python's lock."""


class FileSequence(Sequence[Pixels]):
    """Images that stay on disk; each is read, by ``read``, when it is asked for."""

    def __init__(self, paths: Sequence[Path], read: Callable[[Path], Pixels]) -> None:
        self.paths = paths
        self._read = read

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, place: int) -> Pixels: ...
    @overload
    def __getitem__(self, place: slice) -> FileSequence: ...
    def __getitem__(self, place: int | slice) -> Pixels | FileSequence:
        """Read a file, or name some of them."""
        if isinstance(place, slice):
            return FileSequence(self.paths[place], self._read)
        return self._read(self.paths[place])


def read_together(wanted: Iterable[tuple[Sequence[Pixels], int]]) -> list[Pixels]:
    """Return elements of sequences, in the order given; what lies on disk is read at the same time.

    Raises:
        VssError: A file is not what its reader expects.
    """
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda item: item[0][item[1]], wanted))


@dataclass(frozen=True, slots=True)
class Clip:
    """Consecutive frames of which some are labelled."""

    images: Sequence[Pixels]
    """RGB, ``(H, W, 3)`` each."""
    labelled: list[int]
    """Which of the images have labels, ascending."""
    labels: Sequence[Pixels]
    """Training ids ``(H, W)`` of those images."""


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Images and label maps of one data set.

    Attributes:
        images: RGB, ``(H, W, 3)`` uint8 each.
        labels: Training ids, ``(H, W)`` uint8 each, same order: class ids, void is their number.
        names: File stems, same order.
    """

    images: Sequence[Pixels]
    labels: Sequence[Pixels]
    names: list[str]

    def __len__(self) -> int:
        return len(self.images)

    def clips(self) -> Iterator[Clip]:
        """Yield the images as one clip, as if they were consecutive frames."""
        yield Clip(self.images, list(range(len(self))), self.labels)


@dataclass(frozen=True, slots=True)
class LabelledVideo(LabelledImages):
    """Labelled frames with the frames that directly precede them, which need no labels.

    Attributes:
        frames: All frames, RGB ``(H, W, 3)`` each, those of a clip in order.
        places: Where among ``frames`` each labelled image lies, ascending.
        earlier: How many frames directly before that belong to the same clip.
    """

    frames: Sequence[Pixels]
    places: list[int]
    earlier: list[int]

    def clips(self) -> Iterator[Clip]:
        """Yield runs of frames up to a labelled one; runs that overlap come as one."""
        first = 0
        for last, place in enumerate(self.places):
            start = self.places[first] - self.earlier[first]
            following = last + 1
            if following < len(self.places) and self.places[following] - self.earlier[following] <= place:
                continue
            labelled = [p - start for p in self.places[first:following]]
            yield Clip(self.frames[start : place + 1], labelled, self.labels[first:following])
            first = following
