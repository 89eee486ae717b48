"""Houses of the simulated street: walls with facades, roofs, chimneys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulator.labels import Label
from simulator.mesh import Mesh, box, quad

if TYPE_CHECKING:
    from numpy.random import Generator

    from simulator.layout import Edge
    from simulator.stock import Stock

    Front = tuple[str, float, float]
    """Facade: texture, width and height in metres."""

_PLAIN = (0.0, 0.935, 0.3, 0.955)
"""Part of a facade texture without windows."""


def house(rng: Generator, stock: Stock, edge: Edge, t: float, front: Front) -> None:
    """Add a house that begins ``t`` metres along the edge."""
    name, width, height = front
    depth, d = rng.uniform(8, 11), edge.walk + edge.setback
    x0, y0, x1, y1 = edge.box((t, t + width), (d, d + depth))
    p = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    walls = []
    for i in range(4):
        a, b = p[i], p[(i + 1) % 4]
        along = abs(b[0] - a[0]) > 1e-6 if edge.along_x else abs(b[1] - a[1]) > 1e-6
        u = 1.0 if along else depth / width
        walls.append(quad([(*a, 0), (*b, 0), (*b, height), (*a, height)], (0, 0, u, 1)))
    stock.add(name, Label.BUILDING, *walls)
    stock.blockers.append((x0, y0, x1, y1, height + 1))
    roof = f'roof{rng.integers(3)}'
    if rng.random() < 0.3:
        stock.add(roof, Label.BUILDING, box(((x0 + x1) / 2, (y0 + y1) / 2, height), (x1 - x0, y1 - y0, 0.5)))
        return
    _gable(rng, stock, edge, (x0 - 0.02, y0 - 0.02, x1 + 0.02, y1 + 0.02, height), roof, name)


def _gable(
    rng: Generator,
    stock: Stock,
    edge: Edge,
    block: tuple[float, float, float, float, float],
    roof: str,
    wall: str,
) -> None:
    x0, y0, x1, y1, z = block
    rise, over = rng.uniform(2.0, 3.6), 0.35
    if edge.along_x:
        y0, y1, m = y0 - over, y1 + over, (y0 + y1) / 2
        r0, r1 = (x0, m, z + rise), (x1, m, z + rise)
        slopes = [[(x0, y0, z), (x1, y0, z), r1, r0], [(x1, y1, z), (x0, y1, z), r0, r1]]
        ends = [[(x0, y0, z), (x0, y1, z), r0], [(x1, y0, z), (x1, y1, z), r1]]
    else:
        x0, x1, m = x0 - over, x1 + over, (x0 + x1) / 2
        r0, r1 = (m, y0, z + rise), (m, y1, z + rise)
        slopes = [[(x0, y1, z), (x0, y0, z), r0, r1], [(x1, y0, z), (x1, y1, z), r1, r0]]
        ends = [[(x0, y0, z), (x1, y0, z), r0], [(x0, y1, z), (x1, y1, z), r1]]
    soffit = [(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)]
    stock.add(wall, Label.BUILDING, quad(soffit, _PLAIN, (0, 0, -1)))
    long = max(abs(r1[0] - r0[0]), abs(r1[1] - r0[1])) / 8
    for slope in slopes:
        mesh = quad(slope, (0, 0, long, 0.8))
        up = mesh.normals * np.sign(mesh.normals[:, 2:])
        stock.add(roof, Label.BUILDING, Mesh(mesh.points, up, mesh.uvs, mesh.faces))
    for a, b, c in ends:
        stock.add(wall, Label.BUILDING, quad([a, b, c, c], _PLAIN, (r0[0] - r1[0], r0[1] - r1[1], 0)))
    for r in (r0, r1):
        if rng.random() < 0.6:
            w = (np.array(r0) + np.array(r1)) / 2
            at = np.array(r) * 0.86 + w * 0.14
            stock.add(wall, Label.BUILDING, box((at[0], at[1], z + rise), (0.8, 0.8, 2.4), _PLAIN))
