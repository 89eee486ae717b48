"""Who moves, or stands, in the simulated quarter: traffic, parked cars, pedestrians, bicyclists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simulator import decals, people, textures
from simulator.labels import Label
from simulator.layout import KERB, Follow, Lead, Line
from simulator.vehicles import MODELS, vehicle_mesh

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from simulator.layout import Edge, Layout, Route, Track
    from simulator.mesh import Mesh
    from simulator.people import PartPose

_PAINTS: tuple[textures.Colour, ...] = (
    (176, 180, 184),
    (186, 190, 192),
    (38, 40, 44),
    (28, 28, 30),
    (30, 44, 84),
    (120, 22, 26),
    (206, 206, 204),
    (86, 90, 96),
    (24, 62, 48),
    (64, 96, 140),
    (150, 132, 92),
    (222, 222, 218),
)


@dataclass(frozen=True, slots=True)
class Actor:
    """Something with a track."""

    label: Label
    parts: tuple[Mesh, ...]
    texture: NDArray[np.uint8]
    track: Track
    size: tuple[float, float, float]
    """Length, width and height of its shadow in metres."""
    figure: people.Figure | None = None
    speed: float = 0.0
    base: float = 0.0
    """Height of what it stands on."""

    def poses(self, seconds: float) -> list[PartPose]:
        """Joint and angle of every part in the actor's frame."""
        way = self.speed * seconds
        if self.figure is None:
            return [(0.0, 0.0, 0.0, 0.0)]
        if self.label == Label.BICYCLIST:
            return people.ride_pose(self.figure, way)
        return people.walk_pose(self.figure, way + 0.7 * self.size[2], self.speed == 0)


class Cast:
    """Draws actors, ``density`` times as many as usual; keeps the meshes of the vehicle models."""

    def __init__(
        self,
        rng: Generator,
        layout: Layout,
        route: Route,
        ways: NDArray[np.float64],
        fps: float,
        density: float = 1.0,
    ) -> None:
        self._rng, self._layout, self._route, self._ways, self._fps = rng, layout, route, ways, fps
        self._density = density
        self._meshes = [vehicle_mesh(model) for model in MODELS]

    def everyone(self) -> list[Actor]:
        """All actors of a drive."""
        actors = self._ahead() + self._oncoming()
        for edge in self._layout.edges:
            actors += self._parked(edge) + self._walkers(edge)
        return actors

    def _vehicle(self, track: Track, weights: tuple[float, ...] = (0.4, 0.2, 0.2, 0.14, 0.06)) -> Actor:
        rng = self._rng
        kind = int(rng.choice(len(MODELS), p=weights))
        model = MODELS[kind]
        paint = _PAINTS[rng.integers(len(_PAINTS))]
        if kind == 4:
            paint = ((168, 26, 30), (40, 84, 140), (214, 200, 160))[rng.integers(3)]
        texture = decals.vehicle(rng, paint, model.glass, model.windows)
        return Actor(Label.CAR, (self._meshes[kind],), texture, track, model.size)

    def _person(self, track: Track, speed: float, rides: bool, base: float) -> Actor:
        rng = self._rng
        figure = people.cyclist(rng) if rides else people.pedestrian(rng)
        texture = textures.palette(people.colours(rng), rng)
        size = (1.7, 0.45, 1.7) if rides else (0.4, 0.5, 1.7)
        label = Label.BICYCLIST if rides else Label.PEDESTRIAN
        return Actor(label, figure.parts, texture, track, size, figure, speed, base)

    def _ahead(self) -> list[Actor]:
        """A vehicle and bicyclists in the driver's own lane."""
        rng, actors = self._rng, []
        beside = self._layout.lane - 0.35 + (0.35 if not any(self._layout.parking) else 0.0)
        start = rng.uniform(9, 20)
        for _ in range(int(rng.integers(1, 4))):
            speed = rng.uniform(4.2, 5.6)
            actors.append(self._person(Follow(self._route, 15 + start, speed, beside), speed, True, 0.0))
            start += rng.uniform(5, 22)
        if rng.random() < 0.6:
            actors.append(self._vehicle(Lead(self._route, self._ways, self._fps, rng.uniform(16, 32))))
        return actors

    def _oncoming(self) -> list[Actor]:
        """Traffic on the lanes that the driver does not use; who comes to the crossing stops there."""
        rng, actors, plan = self._rng, [], self._layout
        arms = [(-1, 0), (1, 0), (0, -1), (0, 1)]
        for dx, dy in arms:
            own = (dx, dy) == (-1, 0)
            half = plan.road[1] if dx else plan.road[0]
            # Towards the crossing for the other arms; away from it on the arm where the drive begins.
            yaw = np.arctan2(-dy, -dx) + (np.pi if own else 0.0)
            side = np.array([-np.sin(yaw), np.cos(yaw)])
            way = half + plan.corner + 4 if not own else rng.uniform(5, 15)
            lane = rng.uniform(0.9, 1.05) * plan.lane
            queue = half + plan.corner + 3.5
            way += rng.uniform(2, 25)
            while way < 95:
                place = np.array([dx, dy]) * way + side * lane
                speed = rng.uniform(5.5, 8)
                limit = float('inf') if own else max(way - queue, 0.0)
                rides = rng.random() < 0.25
                track = Line(
                    (float(place[0]), float(place[1]), float(yaw)), speed * (0.6 if rides else 1.0), limit
                )
                if rides:
                    side_place = place + side * 0.7
                    track = Line((float(side_place[0]), float(side_place[1]), float(yaw)), speed * 0.6, limit)
                    actors.append(self._person(track, speed * 0.6, True, 0.0))
                    queue += 2.5
                else:
                    vehicle = self._vehicle(track)
                    actors.append(vehicle)
                    queue += vehicle.size[0] + 2.0
                way += rng.uniform(11, 32) / self._density
        return actors

    def _parked(self, edge: Edge) -> list[Actor]:
        rng, actors = self._rng, []
        if not self._layout.parking[0 if edge.along_x else 1]:
            return []
        towards = edge.sx * edge.sy * (1 if edge.along_x else -1) < 0
        t = self._layout.corner + rng.uniform(3, 9)
        while t < 80:
            x, y = edge.at(t + 2.2, -1.02)
            yaw = edge.outwards + (np.pi if towards else 0.0) + rng.normal(0, 0.015)
            actors.append(self._vehicle(Line((x, y, yaw)), (0.42, 0.22, 0.22, 0.14, 0.0)))
            gap = rng.uniform(5.2, 6.3) + (rng.uniform(4, 20) if rng.random() < 0.4 else 0.0)
            t += max(gap / self._density, 5.2)
        return actors

    def _walkers(self, edge: Edge) -> list[Actor]:
        rng, actors = self._rng, []
        busy = self._layout.along_route(edge)
        t = rng.uniform(1, 8)
        while t < (85 if busy else 35):
            for _ in range(1 + int(rng.random() < 0.35)):
                x, y = edge.at(t + rng.uniform(-0.5, 0.5), rng.uniform(0.7, max(edge.walk - 0.6, 1.0)))
                yaw = edge.outwards + (np.pi if rng.random() < 0.5 else 0.0)
                speed = 0.0 if rng.random() < 0.2 else rng.uniform(1.0, 1.6)
                limit = float('inf')
                if np.cos(yaw - edge.outwards) < 0:
                    limit = max(t - 1.0, 0.3)
                if speed == 0.0:
                    yaw = rng.uniform(0, 2 * np.pi)
                actors.append(self._person(Line((x, y, float(yaw)), speed, limit), speed, False, KERB))
            t += (rng.uniform(3, 10) if busy else rng.uniform(10, 25)) / self._density
        return actors
