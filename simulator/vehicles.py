"""Meshes of cars, vans and buses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simulator.decals import DARK, FRONT, PAINT, REAR, SIDE, WHEEL
from simulator.mesh import Mesh, join, polygon, tube

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Outline = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Model:
    """Shape of a vehicle; outlines are in parts of length (from -0.5 at the rear) and height."""

    size: tuple[float, float, float]
    """Length, width and height in metres."""
    outline: Outline
    """Side view from the rear bumper over the roof to the front bumper."""
    belt: tuple[int, int]
    """Numbers of the outline's corners at the rear and front end of the side windows."""
    taper: float
    """Width of the roof in parts of the width."""
    windows: int

    @property
    def glass(self) -> Outline:
        """Corners of the area of the side windows."""
        return self.outline[self.belt[0] : self.belt[1] + 1]


_HATCH = [
    (-0.5, 0.2),
    (-0.5, 0.44),
    (-0.48, 0.62),
    (-0.39, 0.95),
    (-0.3, 1.0),
    (0.03, 1.0),
    (0.1, 0.97),
    (0.27, 0.62),
    (0.45, 0.53),
    (0.5, 0.42),
    (0.5, 0.18),
]
_SALOON = [
    (-0.5, 0.2),
    (-0.5, 0.5),
    (-0.48, 0.64),
    (-0.33, 0.65),
    (-0.2, 0.98),
    (0.02, 1.0),
    (0.06, 0.98),
    (0.24, 0.63),
    (0.45, 0.54),
    (0.5, 0.42),
    (0.5, 0.18),
]
_ESTATE = [
    (-0.5, 0.2),
    (-0.5, 0.44),
    (-0.49, 0.6),
    (-0.44, 0.95),
    (-0.4, 1.0),
    (0.02, 1.0),
    (0.08, 0.97),
    (0.25, 0.62),
    (0.45, 0.53),
    (0.5, 0.42),
    (0.5, 0.18),
]
_VAN = [
    (-0.5, 0.16),
    (-0.5, 0.4),
    (-0.5, 0.55),
    (-0.49, 0.97),
    (-0.48, 1.0),
    (0.24, 1.0),
    (0.28, 0.97),
    (0.38, 0.55),
    (0.48, 0.46),
    (0.5, 0.36),
    (0.5, 0.14),
]
_BUS = [
    (-0.5, 0.1),
    (-0.5, 0.3),
    (-0.5, 0.45),
    (-0.5, 0.95),
    (-0.49, 1.0),
    (0.48, 1.0),
    (0.49, 0.95),
    (0.5, 0.4),
    (0.5, 0.38),
    (0.5, 0.3),
    (0.5, 0.1),
]

MODELS = (
    Model((3.9, 1.7, 1.46), _HATCH, (2, 7), 0.78, 2),
    Model((4.5, 1.75, 1.43), _SALOON, (3, 7), 0.77, 2),
    Model((4.5, 1.75, 1.5), _ESTATE, (2, 7), 0.8, 3),
    Model((4.9, 1.95, 2.1), _VAN, (2, 7), 0.92, 3),
    Model((9.5, 2.5, 2.95), _BUS, (2, 7), 0.97, 7),
)
"""Hatchback, saloon, estate, van and bus."""


def _uv(
    points: NDArray[np.float64], rect: tuple[float, float, float, float], u_axis: int
) -> NDArray[np.float64]:
    u0, v0, u1, v1 = rect
    inside = np.clip(np.stack([points[:, u_axis] + 0.5, points[:, 2]], 1), 0.01, 0.99)
    return np.asarray([u0, v0] + inside * [u1 - u0, v1 - v0])


def vehicle_mesh(model: Model) -> Mesh:
    """A vehicle that stands on z = 0 with its middle at the origin and looks along x."""
    line = np.array(model.outline)
    belt = line[model.belt[0], 1]
    half = 0.5 * np.where(line[:, 1] > belt + 0.02, model.taper, 1.0)
    half[[0, 1, -2, -1]] *= 0.94
    scale = np.array(model.size)
    left, right = (np.column_stack([line[:, 0], s * half, line[:, 1]]) for s in (1, -1))
    parts = []
    middle = len(line) // 2
    for i in range(len(line) - 1):
        ring = np.stack([right[i], right[i + 1], left[i + 1], left[i]])
        flat = abs(line[i + 1, 1] - line[i, 1]) < 0.07
        uv = np.array([(PAINT[0], PAINT[1])] * 4) if flat else _uv(ring, REAR if i < middle else FRONT, 1)
        rise = line[i + 1] - line[i]
        parts.append(polygon(list(ring * scale), uv, (-rise[1], 0, rise[0] * 1.0 + 1e-6)))
    rear, front = model.belt
    for side, sign in ((left, 1), (right, -1)):
        lower = np.concatenate([side[: rear + 1], side[front:]])
        upper = side[rear : front + 1].copy()
        parts.append(polygon(list(lower * scale), _uv(lower, SIDE, 0), (0, sign, 0.05)))
        parts.append(polygon(list(upper * scale), _uv(upper, SIDE, 0), (0, sign, 0.35)))
    bottom = np.array([right[0], right[-1], left[-1], left[0]]) * scale
    parts.append(polygon(list(bottom), np.array([DARK[:2]] * 4), (0, 0, -1)))
    radius = 0.31 if scale[2] < 2.5 else 0.48
    for x in (-0.3, 0.3):
        for sign in (1, -1):
            hub = np.array([x * scale[0], sign * (scale[1] / 2 - 0.02), radius])
            inner = hub - np.array([0, sign * 0.2, 0])
            parts.append(tube(inner, hub, (radius, radius), 12, DARK))
            turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
            rim = np.stack([np.cos(turn), np.zeros(12), np.sin(turn)], 1)
            u0, v0, u1, v1 = WHEEL
            uv = np.stack(
                [(u0 + u1) / 2 + (u1 - u0) / 2 * rim[:, 0], (v0 + v1) / 2 + (v1 - v0) / 2 * rim[:, 2]], 1
            )
            parts.append(polygon(list(hub + np.array([0, sign * 0.005, 0]) + rim * radius), uv, (0, sign, 0)))
    return join(parts)
