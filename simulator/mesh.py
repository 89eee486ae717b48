"""Small triangle meshes: the shapes from which the simulated street is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Point = Sequence[float] | Floats
    UvRect = tuple[float, float, float, float]

WHOLE: UvRect = (0.0, 0.0, 1.0, 1.0)
"""Texture rectangle ``(u0, v0, u1, v1)`` that covers a whole texture; v points up."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """Triangles with normals and texture coordinates."""

    points: Floats
    """Vertices in metres, shape ``(N, 3)``."""
    normals: Floats
    """Unit normals, shape ``(N, 3)``."""
    uvs: Floats
    """Texture coordinates, shape ``(N, 2)``."""
    faces: NDArray[np.int64]
    """Vertex indices of the triangles, shape ``(M, 3)``."""

    def moved(self, offset: Point, yaw: float = 0.0) -> Mesh:
        """A copy turned by ``yaw`` radians about z, then shifted by ``offset`` metres."""
        c, s = np.cos(yaw), np.sin(yaw)
        turn = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
        return Mesh(self.points @ turn + np.asarray(offset), self.normals @ turn, self.uvs, self.faces)

    def wound(self) -> Mesh:
        """A copy whose triangles all run anticlockwise as seen from where their normals point.

        The renderer does not draw triangles that run the other way.
        """
        a, b, c = (self.points[self.faces[:, k]] for k in range(3))
        away = (np.cross(b - a, c - a) * self.normals[self.faces].sum(1)).sum(1) < 0
        return Mesh(
            self.points, self.normals, self.uvs, np.where(away[:, None], self.faces[:, ::-1], self.faces)
        )


def join(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh that holds the triangles of all ``meshes``."""
    starts = np.cumsum([0] + [len(m.points) for m in meshes[:-1]])
    return Mesh(
        np.concatenate([m.points for m in meshes]),
        np.concatenate([m.normals for m in meshes]),
        np.concatenate([m.uvs for m in meshes]),
        np.concatenate([m.faces + start for m, start in zip(meshes, starts, strict=True)]),
    )


def _unit(vectors: Floats) -> Floats:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-9))


def polygon(
    corners: Sequence[Point] | Floats, uvs: Sequence[Point] | Floats, normal: Point | None = None
) -> Mesh:
    """A flat polygon, drawn as a fan around its first corner.

    Args:
        corners: Corner points in metres, anticlockwise as seen from outside.
        uvs: One texture coordinate for each corner.
        normal: Normal to use; computed from the first three corners when left out.
    """
    points = np.asarray(corners, float)
    n = (
        np.cross(points[1] - points[0], points[2] - points[0])
        if normal is None
        else np.asarray(normal, float)
    )
    fan = np.array([(0, i, i + 1) for i in range(1, len(points) - 1)])
    return Mesh(points, np.repeat(_unit(n)[None], len(points), 0), np.asarray(uvs, float), fan)


def quad(corners: Sequence[Point], uv: UvRect = WHOLE, normal: Point | None = None) -> Mesh:
    """A four-cornered polygon whose corners run bottom left, bottom right, top right, top left."""
    u0, v0, u1, v1 = uv
    return polygon(corners, [(u0, v0), (u1, v0), (u1, v1), (u0, v1)], normal)


def box(centre: Point, size: Point, uv: UvRect = WHOLE) -> Mesh:
    """An axis-parallel box without a bottom; every side shows the texture rectangle ``uv``."""
    (x, y, z), (a, b, c) = np.asarray(centre, float), np.asarray(size, float) / 2
    p = [(x + i * a, y + j * b, z + k * c) for k in (-1, 1) for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    sides = [quad([p[i], p[(i + 1) % 4], p[(i + 1) % 4 + 4], p[i + 4]], uv) for i in range(4)]
    return join([*sides, quad(p[4:], uv)])


def tube(start: Point, end: Point, radii: tuple[float, float], sides: int = 6, uv: UvRect = WHOLE) -> Mesh:
    """A closed, possibly tapered, tube between two points.

    Args:
        start: Centre of the first end, metres.
        end: Centre of the other end, metres.
        radii: Radius at either end, metres.
        sides: Number of side faces.
        uv: Texture rectangle; u runs around the tube, v along it.
    """
    a, b = np.asarray(start, float), np.asarray(end, float)
    axis = _unit(b - a)
    across = _unit(np.cross(axis, (0.0, 0.0, 1.0) if abs(axis[2]) < 0.9 else (1.0, 0.0, 0.0)))
    turn = np.linspace(0, 2 * np.pi, sides + 1)[:, None]
    ring = np.cos(turn) * across + np.sin(turn) * np.cross(axis, across)
    u = np.linspace(uv[0], uv[2], sides + 1)
    points = np.concatenate([a + radii[0] * ring, b + radii[1] * ring])
    uvs = np.concatenate([np.stack([u, np.full_like(u, v)], 1) for v in (uv[1], uv[3])])
    i = np.arange(sides)
    faces = np.concatenate(
        [np.stack([i, i + 1, i + sides + 2], 1), np.stack([i, i + sides + 2, i + sides + 1], 1)]
    )
    side = Mesh(points, np.concatenate([ring, ring]), uvs, faces)
    caps = [
        polygon(centre + r * ring[:-1], np.tile([(uv[0] + uv[2]) / 2, v], (sides, 1)), n)
        for centre, r, v, n in ((a, radii[0], uv[1], -axis), (b, radii[1], uv[3], axis))
        if r > 0
    ]
    return join([side, *caps])


def ball(centre: Point, radii: Point, rings: int = 5, sides: int = 8, uv: UvRect = WHOLE) -> Mesh:
    """An ellipsoid with ``rings`` rows of ``sides`` faces."""
    polar, turn = np.meshgrid(
        np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, sides + 1), indexing='ij'
    )
    unit = np.stack([np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar)], -1).reshape(
        -1, 3
    )
    r = np.asarray(radii, float)
    u = np.broadcast_to(np.linspace(uv[0], uv[2], sides + 1), polar.shape)
    v = uv[3] + (uv[1] - uv[3]) * polar / np.pi
    i, j = (g.ravel() for g in np.meshgrid(np.arange(rings), np.arange(sides), indexing='ij'))
    k = i * (sides + 1) + j
    faces = np.concatenate(
        [np.stack([k, k + sides + 1, k + 1], 1), np.stack([k + 1, k + sides + 1, k + sides + 2], 1)]
    )
    return Mesh(np.asarray(centre) + unit * r, _unit(unit / r), np.stack([u.ravel(), v.ravel()], 1), faces)


def disc(centre: Point, radius: float, facing: float, uv: UvRect = WHOLE, sides: int = 16) -> Mesh:
    """An upright disc (a road sign) that faces the heading ``facing`` in radians.

    With ``sides`` 3 it is a triangle that stands on its base, with 4 a square.
    """
    start = {3: np.pi / 2, 4: np.pi / 4}.get(sides, 0.0)
    turn = start + np.linspace(0, 2 * np.pi, sides, endpoint=False)
    scale = {3: 1.15, 4: 1.41}.get(sides, 1.0)
    a, b = np.cos(turn) * scale, np.sin(turn) * scale
    # Seen from the front, the plate's right-hand side lies at heading + 90 degrees.
    right = np.array([-np.sin(facing), np.cos(facing), 0.0])
    up = np.array([0.0, 0.0, 1.0])
    points = np.asarray(centre) + radius * (a[:, None] * right + b[:, None] * up)
    u = uv[0] + (uv[2] - uv[0]) * np.clip(a / 2 + 0.5, 0.02, 0.98)
    v = uv[1] + (uv[3] - uv[1]) * np.clip(b / 2 + 0.5, 0.02, 0.98)
    return polygon(points, np.stack([u, v], 1), [np.cos(facing), np.sin(facing), 0.0])
