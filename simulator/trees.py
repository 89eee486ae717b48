"""Trees and hedges of the simulated street."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulator import textures
from simulator.labels import Label
from simulator.mesh import Mesh, ball, box, tube
from simulator.stock import BARK, COLOURS

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from simulator.stock import Stock


def _leaves(
    rng: Generator, centre: NDArray[np.float64], radii: NDArray[np.float64], count: int, size: float
) -> Mesh:
    """Small triangles scattered over an ellipsoid, so that its outline is ragged."""
    unit = rng.standard_normal((count, 3))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    middle = centre + unit * radii * rng.uniform(0.85, 1.06, (count, 1))
    points = (middle[:, None] + rng.normal(0, size, (count, 3, 3))).reshape(-1, 3)
    uvs = (rng.random((count, 1, 2)) + rng.uniform(0, 0.3, (count, 3, 2))).reshape(-1, 2)
    return Mesh(points, np.repeat(unit, 3, 0), uvs, np.arange(3 * count).reshape(-1, 3))


def tree(rng: Generator, stock: Stock, place: tuple[float, float], height: float, detail: int = 130) -> None:
    """Add a tree of some height in metres, with ``detail`` tufts of leaves for each part of its crown."""
    (x, y), leaf = place, f'leaf{rng.integers(3)}'
    stem = height * rng.uniform(0.28, 0.4)
    lean = rng.normal(0, 0.15, 2)
    girth = 0.022 * height
    bark = textures.cell(BARK, len(COLOURS))
    top = (x + lean[0], y + lean[1], stem + 0.8)
    stock.add('colours', Label.TREE, tube((x, y, 0), top, (girth * 1.3, girth * 0.8), 7, bark))
    spread = height * rng.uniform(0.2, 0.3)
    slim = rng.random() < 0.25
    for k in range(2 if slim else 6):
        off = rng.uniform(-0.6, 0.6, 3) * spread * (0.2 if slim else 1.0)
        z = stem + (height - stem) * (0.3 + 0.4 * k if slim else rng.uniform(0.25, 0.8))
        centre = np.array([top[0] + off[0], top[1] + off[1], z])
        radii = spread * rng.uniform(0.55, 0.85, 3) * ((0.6, 0.6, 2.0) if slim else (1, 1, 0.9))
        stock.add(
            leaf,
            Label.TREE,
            ball(centre, radii * 0.9, 4, 7, (0, 0, 3, 2)),
            _leaves(rng, centre, radii, detail, min(0.33 * height / detail**0.5, 0.4)),
        )
    stock.blockers.append(
        (x - spread * 0.8, y - spread * 0.8, x + spread * 0.8, y + spread * 0.8, height * 0.92)
    )


def hedge(
    rng: Generator, stock: Stock, area: tuple[float, float, float, float], height: float, leaf: str
) -> None:
    """Add a hedge on the area ``(x0, y0, x1, y1)``; ``leaf`` is its texture."""
    x0, y0, x1, y1 = area
    centre, size = ((x0 + x1) / 2, (y0 + y1) / 2, height / 2), np.array([x1 - x0, y1 - y0, height])
    stock.add(leaf, Label.TREE, box(centre, size, (0, 0, max(size) / 3, height / 3)))
    count = int(max(size) * 22)
    place = np.array(centre) + rng.uniform(-0.5, 0.5, (count, 3)) * size
    face = rng.integers(0, 3, count)
    place[face == 0, 2] = height
    thin = int(np.argmin(size[:2]))
    place[face > 0, thin] = np.array(centre)[thin] + (rng.integers(0, 2, (face > 0).sum()) - 0.5) * size[thin]
    points = (place[:, None] + rng.normal(0, 0.09, (count, 3, 3))).reshape(-1, 3)
    normal = np.tile([0.0, 0.0, 1.0], (3 * count, 1))
    normal[:, :2] += rng.normal(0, 0.5, (3 * count, 2))
    uvs = (rng.random((count, 1, 2)) + rng.uniform(0, 0.1, (count, 3, 2))).reshape(-1, 2)
    stock.add(leaf, Label.TREE, Mesh(points, normal, uvs, np.arange(3 * count).reshape(-1, 3)))
    stock.blockers.append((x0, y0, x1, y1, height))
