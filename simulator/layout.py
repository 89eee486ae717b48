"""The plan of a simulated quarter: two streets that cross at the origin, and ways through them.

Traffic keeps left. The main street runs along x, the side street along y, z points up; all lengths are
metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

REACH = 105.0
"""The quarter covers this far from the crossing in either direction."""
KERB = 0.12
"""Height of the pavement above the road."""

Pose = tuple[float, float, float]
"""Position x, y and heading in radians."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One side of one street on one side of the crossing.

    Places are given by ``t``, the distance from the crossing street's kerb line, and ``d``, the distance
    from the own kerb.
    """

    sx: int
    sy: int
    along_x: bool
    road: tuple[float, float]
    walk: float
    district: str
    setback: float

    def at(self, t: float, d: float) -> tuple[float, float]:
        """World position of ``(t, d)``."""
        a, b = (t, d) if self.along_x else (d, t)
        return self.sx * (self.road[1] + a), self.sy * (self.road[0] + b)

    def box(self, t: tuple[float, float], d: tuple[float, float]) -> tuple[float, float, float, float]:
        """World rectangle ``(x0, y0, x1, y1)`` of the ranges ``t`` and ``d``."""
        (xa, ya), (xb, yb) = self.at(t[0], d[0]), self.at(t[1], d[1])
        return min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb)

    @property
    def outwards(self) -> float:
        """Heading along the edge, away from the crossing, in radians."""
        sign = self.sx if self.along_x else self.sy
        return (0.0 if self.along_x else np.pi / 2) + (0.0 if sign > 0 else np.pi)

    @property
    def to_road(self) -> float:
        """Heading from the houses to the road, in radians."""
        if self.along_x:
            return -self.sy * np.pi / 2
        return np.pi if self.sx > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Layout:
    """Widths, districts and the turn of one simulated quarter."""

    road: tuple[float, float]
    """Half widths of the main and of the side street."""
    lane: float
    """Distance of a lane's centre from the middle of the street."""
    parking: tuple[bool, bool]
    """Whether cars park along the main and the side street."""
    corner: float
    """Radius of the kerb at the corners."""
    turn: int
    """Way of the drive at the crossing: 1 left, -1 right, 0 straight on."""
    start: float
    """Where the drive starts: x on the main street (negative)."""
    edges: tuple[Edge, ...]

    def along_route(self, edge: Edge) -> bool:
        """Whether the drive passes this edge."""
        if edge.along_x:
            return edge.sx < 0 or self.turn == 0
        return edge.sy == self.turn


def plan(rng: Generator, turn: int | None = None, start: float | None = None) -> Layout:
    """Draws a quarter.

    Args:
        rng: Source of randomness.
        turn: Way at the crossing, see `Layout.turn`; drawn when left out.
        start: Start of the drive, see `Layout.start`; drawn when left out.
    """
    lane = rng.uniform(1.45, 1.7)
    parking = (bool(rng.random() < 0.5), bool(rng.random() < 0.5))
    half = [2 * lane + (2.3 if park else rng.uniform(0.1, 0.5)) for park in parking]
    road = (half[0], half[1])
    walks = rng.uniform(2.6, 4.2, 2)
    edges = []
    for sx in (-1, 1):
        for sy in (-1, 1):
            for along_x in (True, False):
                district = str(
                    rng.choice(['shops', 'shops', 'shops', 'terrace', 'terrace', 'terrace', 'park'])
                )
                setback = 0.0 if district == 'shops' else rng.uniform(1.8, 4.0)
                walk = float(walks[0 if along_x else 1])
                edges.append(Edge(sx, sy, along_x, road, walk, district, setback))
    drawn_turn, drawn_start = int(rng.choice([1, -1, 0])), -rng.uniform(12, 85)
    return Layout(
        road,
        lane,
        parking,
        rng.uniform(4.0, 6.0),
        drawn_turn if turn is None else turn,
        drawn_start if start is None else start,
        tuple(edges),
    )


class Track(Protocol):
    """Where something is at a time."""

    def at(self, seconds: float) -> Pose:
        """Pose at ``seconds`` since the start of the drive."""


@dataclass(frozen=True, slots=True)
class Line:
    """A straight track that ends, if at all, after ``limit`` metres."""

    start: Pose
    speed: float = 0.0
    limit: float = float('inf')

    def at(self, seconds: float) -> Pose:
        """Pose at ``seconds``; braking before the end is gentle."""
        x, y, yaw = self.start
        way = self.speed * seconds
        if way > self.limit - 8:
            rest = max(self.limit - 8, 0.0)
            way = rest + (self.limit - rest) * float(-np.expm1(-(way - rest) / max(self.limit - rest, 1e-3)))
        return x + way * float(np.cos(yaw)), y + way * float(np.sin(yaw)), yaw


class Route:
    """The drive's line through the quarter, in the left-hand lane."""

    def __init__(self, layout: Layout) -> None:
        lane, turn = layout.lane, layout.turn
        radius = layout.road[1] + layout.corner - (lane if turn >= 0 else -lane)
        straight = np.array([(x, lane) for x in np.arange(layout.start - 15, 95, 0.25)])
        if turn:
            x_exit = -turn * lane
            angle = np.arange(0, np.pi / 2, 0.25 / radius)
            arc = np.stack(
                [x_exit - radius + radius * np.sin(angle), lane + turn * radius * (1 - np.cos(angle))], 1
            )
            y = lane + turn * (radius + np.arange(0, 90, 0.25))
            straight = straight[straight[:, 0] < x_exit - radius]
            straight = np.concatenate([straight, arc, np.stack([np.full_like(y, x_exit), y], 1)])
        step = np.diff(straight, axis=0)
        self._way = np.concatenate([[0.0], np.cumsum(np.hypot(step[:, 0], step[:, 1]))])
        heading = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
        smooth = np.convolve(np.pad(heading, 8, 'edge'), np.full(17, 1 / 17), 'valid')
        self._points, self._heading = straight, np.append(smooth, smooth[-1])
        self.turn_at = float(-turn * lane - radius - layout.start + 15) if turn else float('inf')
        """Distance at which the turn begins; the drive itself starts at 15 m."""
        self.turn_length = radius * np.pi / 2

    def at(self, way: float, left: float = 0.0) -> Pose:
        """Pose after ``way`` metres, shifted ``left`` metres to the left."""
        yaw = float(np.interp(way, self._way, self._heading))
        x, y = (float(np.interp(way, self._way, self._points[:, k])) for k in (0, 1))
        return x - left * float(np.sin(yaw)), y + left * float(np.cos(yaw)), yaw

    def ways(self, frames: int, fps: float, speed: float) -> NDArray[np.float64]:
        """Distance at every frame for a driver who slows down in the turn."""
        ways, way = [], 15.0
        for k in range(frames):
            ways.append(way)
            near = abs(way - self.turn_at - self.turn_length / 2) - self.turn_length / 2
            slow = 1.0 if np.isinf(near) else float(np.clip(0.55 + near / 30, 0.55, 1.0))
            way += speed * slow * (1 + 0.04 * np.sin(k / 23)) / fps
        return np.array(ways)


@dataclass(frozen=True, slots=True)
class Follow:
    """A track along the route with its own speed."""

    route: Route
    start: float
    speed: float
    left: float = 0.0

    def at(self, seconds: float) -> Pose:
        """Pose at ``seconds``."""
        return self.route.at(self.start + self.speed * seconds, self.left)


@dataclass(frozen=True, slots=True)
class Lead:
    """A track that keeps a distance to the driver, who is at ``ways[k]`` at time ``k / fps``."""

    route: Route
    ways: NDArray[np.float64]
    fps: float
    gap: float

    def at(self, seconds: float) -> Pose:
        """Pose at ``seconds``."""
        way = float(np.interp(seconds * self.fps, np.arange(len(self.ways)), self.ways))
        return self.route.at(way + self.gap + 1.5 * float(np.sin(seconds * 0.7)))
