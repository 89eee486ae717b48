"""The ground in front of a camera without depth: which places a mask shows to be drivable.

Frames as REP-103 has them: the ground's x ahead, y to the left, z up, metres; the ground is where z = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import cos, sin
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from vss_ros.images.pinhole import Pinhole

FREE, OCCUPIED, UNKNOWN = 0, 100, -1
"""Cells of a nav_msgs/OccupancyGrid."""
FLAT = frozenset((
    'road', 'pavement', 'sidewalk', 'terrain', 'low_vegetation', 'grass', 'ground', 'curbstone', 'crosswalk',
    'road_paint', 'parking', 'floor', 'carpet', 'rug', 'path', 'dirt', 'gravel', 'sand',
))  # fmt: skip
"""Names of classes that lie on the ground, so that they hide nothing; a blank is an underscore."""
FOOT = 0.4
"""Metres behind the nearest part of a thing that still count as the thing; what follows is hidden by it."""


class Kind(IntEnum):
    """What a class means for driving."""

    NOTHING = 0
    DRIVABLE = 1
    FLAT = 2
    STANDING = 3


def kinds_of(names: Sequence[str], drivable: Iterable[int]) -> NDArray[np.uint8]:
    """Return the ``Kind`` of each class id, ``(256,)`` uint8; ``drivable`` are ids, sky is nothing."""
    kinds = np.zeros(256, np.uint8)
    for number, name in enumerate(names):
        flat = name.lower().replace(' ', '_') in FLAT
        kinds[number] = Kind.FLAT if flat else Kind.NOTHING if name.lower() == 'sky' else Kind.STANDING
    kinds[list(drivable)] = Kind.DRIVABLE
    return kinds


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Where a camera is above the ground."""

    turn: NDArray[np.float64]
    """From its optical frame to the ground's, ``(3, 3)``."""
    at: NDArray[np.float64]
    """In the ground's frame, ``(3,)`` metres."""

    @classmethod
    def level(cls, height: float, pitch: float) -> Pose:
        """Return the pose of a camera that looks ahead from above the origin; ``pitch`` in radians down."""
        ahead, right = np.array([cos(pitch), 0.0, -sin(pitch)]), np.array([0.0, -1.0, 0.0])
        return cls(np.stack([right, np.cross(ahead, right), ahead], 1), np.array([0.0, 0.0, height]))

    @classmethod
    def turned(cls, quaternion: Sequence[float], at: Sequence[float]) -> Pose:
        """Return the pose of a geometry_msgs/Transform: ``quaternion`` x, y, z, w and a translation."""
        x, y, z, w = np.asarray(quaternion, float) / np.linalg.norm(quaternion)
        turn = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
        return cls(np.array(turn), np.asarray(at, float))

    def same(self, other: Pose) -> bool:
        """Tell whether two poses differ by so little that no cell moves."""
        return np.allclose(self.turn, other.turn, atol=1e-4) and np.allclose(self.at, other.at, atol=1e-3)


class GroundView:
    """Where each cell of the ground shows in the mask; made once for a camera and its pose.

    Args:
        camera: Of the mask that labels come in.
        pose: Of the camera.
        reach: Metres that the cells cover: a square along the ground's axes, which the camera looks into.
        cell: Their side in metres.
    """

    def __init__(self, camera: Pinhole, pose: Pose, reach: float, cell: float) -> None:
        self.camera, self.pose, self.cell = camera, pose, cell
        self.side = max(1, round(reach / cell))
        """Cells along x, and along y."""
        ahead = pose.turn[:2, 2] / max(float(np.linalg.norm(pose.turn[:2, 2])), 1e-9)
        self.origin = pose.at[:2] + (ahead - 1) * self.side * cell / 2
        """Corner of the first cell, x and y in metres."""
        x, y = self.origin[:, None] + (np.arange(self.side) + 0.5) * cell
        places = np.stack(np.meshgrid(x, y, [0.0]), -1).reshape(-1, 3) - pose.at
        pixels = camera.project(places @ pose.turn)
        self._seen = np.flatnonzero(np.isfinite(pixels[:, 0]))
        self._column, self._row = np.round(pixels[self._seen]).astype(np.intp).T
        self._distance = np.hypot(places[self._seen, 0], places[self._seen, 1])
        rays = np.concatenate([camera.rays(), np.ones((*camera.size, 1), np.float32)], -1) @ pose.turn.T
        with np.errstate(divide='ignore', invalid='ignore'):
            reached = -pose.at[2] / rays[..., 2]
            ground = np.hypot(rays[..., 0], rays[..., 1]) * reached
        self._ground = np.where(reached > 0, ground, np.inf).astype(np.float32)

    def fits(self, camera: Pinhole, pose: Pose) -> bool:
        """Tell whether it holds for a camera and its pose."""
        return camera == self.camera and pose.same(self.pose)

    def cells(self, labels: NDArray[np.uint8], kinds: NDArray[np.uint8]) -> NDArray[np.int8]:
        """Return what a mask says of the cells, int8, rows along y, columns along x.

        Of a thing that stands the nearest ``FOOT`` is occupied: the rest of its pixels shows what is above
        the ground, not what lies behind. Flat ground that is not drivable is occupied as far as it shows.

        Args:
            labels: Class ids, of the camera's size.
            kinds: Of each id, as ``kinds_of`` has them.
        """
        height = labels.shape[0]
        kind = np.asarray(cv2.LUT(labels, kinds))
        rows = np.arange(height, dtype=np.int16)[:, None]
        # Of each pixel the first one below that does not stand; the thing's foot is just above it.
        below = np.where(kind == Kind.STANDING, np.int16(height), rows)
        below = np.minimum.accumulate(below[::-1], 0)[::-1]
        found = kind[self._row, self._column]
        foot = self._ground[below[self._row, self._column] - 1, self._column]
        hidden = (found == Kind.STANDING) & (self._distance > foot + FOOT)
        values = np.full(256, OCCUPIED, np.int8)
        values[[Kind.NOTHING, Kind.DRIVABLE]] = UNKNOWN, FREE
        cells = np.full(self.side**2, UNKNOWN, np.int8)
        cells[self._seen] = np.where(hidden, np.int8(UNKNOWN), values[found])
        return cells.reshape(self.side, self.side)

    def outlines(self, cells: NDArray[np.int8], smallest: float = 0.5) -> list[NDArray[np.float64]]:
        """Return the outlines ``(N, 2)`` of the free areas, x and y in metres, the largest area first.

        An area's outline runs counter-clockwise, a hole's clockwise; none is smaller than ``smallest`` m².
        """
        free = (cells == FREE).astype(np.uint8)
        contours, _ = cv2.findContours(free, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        found = []
        for contour in contours:
            # Through the middles of cells, half a cell inside the area.
            line = np.asarray(cv2.approxPolyDP(contour, 1.0, closed=True), float).reshape(-1, 2)
            area = float(cv2.contourArea(line.astype(np.float32), oriented=True)) * self.cell**2
            if len(line) > 2 and abs(area) >= smallest:
                found.append((abs(area), (line[::-1] + 0.5) * self.cell + self.origin))
        return [line for _, line in sorted(found, key=lambda entry: -entry[0])]


def shares(labels: NDArray[np.uint8], classes: int) -> NDArray[np.float32]:
    """Return each class's share of the pixels of a mask ``(h, w)``, ``(classes,)`` float32, 0 to 1."""
    counts = np.bincount(labels.reshape(-1), minlength=classes)[:classes]
    return (counts / labels.size).astype(np.float32)
