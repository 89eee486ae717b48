"""Key and current frames some frames apart, for training propagation and scheduler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vss_ros.data.synthetic_motion import Cutout, cut_objects, earlier_views

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vss_ros.data.camvid import LabelledImages


@dataclass(frozen=True, slots=True)
class Triple:
    """Three frames of one drive, oldest first, the last one labelled."""

    key: NDArray[np.uint8]
    """RGB ``(H, W, 3)``."""
    between: NDArray[np.uint8]
    """A frame between key and current, or the key frame itself."""
    current: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    """Ids of the current frame ``(H, W)``."""


class StillPairs:
    """Triples whose earlier frames are rendered from a labelled still."""

    def __init__(self, stills: LabelledImages) -> None:
        """Cut the movable objects out of the stills."""
        self._stills = stills
        self._cutouts: list[Cutout] = cut_objects(stills)

    def __len__(self) -> int:
        """Return the number of stills."""
        return len(self._stills)

    def draw(
        self, index: int, distances: tuple[int, int], crop: tuple[int, int], rng: np.random.Generator
    ) -> Triple:
        """Return a triple ending in still ``index``, flipped and cropped at random."""
        distance = int(rng.integers(distances[0], distances[1] + 1))
        between = _between(distance, rng)
        views, current, labels = earlier_views(
            self._stills.images[index], self._stills.labels[index], (distance, between), self._cutouts, rng
        )
        return _cropped(Triple(views[0], views[1], current, labels), crop, rng)


class DrivePairs:
    """Triples of consecutive labelled frames named ``DRIVE_FRAME``."""

    def __init__(self, frames: LabelledImages) -> None:
        """Group the frames by drive."""
        self._frames = frames
        drives = [name.rsplit('_', 1)[0] for name in frames.names]
        self._first = {drive: drives.index(drive) for drive in drives}
        self._drives = drives

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._frames)

    def draw(
        self, index: int, distances: tuple[int, int], crop: tuple[int, int], rng: np.random.Generator
    ) -> Triple:
        """Return a triple ending at or after frame ``index``, where its drive is long enough."""
        first = self._first[self._drives[index]]
        distance = int(rng.integers(distances[0], distances[1] + 1))
        index = max(index, first + distance)
        if index >= len(self._drives) or self._drives[index] != self._drives[first]:
            index = first + self._drives.count(self._drives[first]) - 1
            distance = min(distance, index - first)
        between = _between(distance, rng)
        images, labels = self._frames.images, self._frames.labels
        return _cropped(
            Triple(images[index - distance], images[index - between], images[index], labels[index]), crop, rng
        )


def _between(distance: int, rng: np.random.Generator) -> int:
    """Return how far the middle frame is from the current one: rather near, as the last hop of many is."""
    return int(min(rng.integers(1, max(distance, 2), 2)))


def _cropped(triple: Triple, crop: tuple[int, int], rng: np.random.Generator) -> Triple:
    """Scale, flip and crop all frames alike."""
    height, width = triple.labels.shape
    scale = max(float(np.exp(rng.uniform(-0.1, 0.35))), crop[0] / height, crop[1] / width)
    size = (max(round(width * scale), crop[1]), max(round(height * scale), crop[0]))
    top, left = (int(rng.integers(0, have - want + 1)) for have, want in zip(size[::-1], crop, strict=True))
    flip = slice(None, None, -1) if rng.random() < 0.5 else slice(None)

    def view(image: NDArray[np.uint8], mode: int) -> NDArray[np.uint8]:
        scaled = cv2.resize(image, size, interpolation=mode)
        return np.ascontiguousarray(scaled[top : top + crop[0], left : left + crop[1]][:, flip], np.uint8)

    return Triple(
        view(triple.key, cv2.INTER_LINEAR),
        view(triple.between, cv2.INTER_LINEAR),
        view(triple.current, cv2.INTER_LINEAR),
        view(triple.labels, cv2.INTER_NEAREST),
    )
