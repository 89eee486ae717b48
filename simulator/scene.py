"""The still part of the simulated quarter: houses, trees, fences, lamps and signs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulator import decals, textures
from simulator.houses import house
from simulator.labels import Label
from simulator.layout import KERB, REACH
from simulator.mesh import box, disc, quad, tube
from simulator.stock import BLACK, COLOURS, Stock
from simulator.trees import hedge, tree

if TYPE_CHECKING:
    from numpy.random import Generator

    from simulator.houses import Front
    from simulator.layout import Edge, Layout

    Fronts = dict[str, list[Front]]
    """Facades by kind of house."""


def _boundary(rng: Generator, stock: Stock, edge: Edge, t0: float, t1: float) -> None:
    """Fence or hedge between pavement and garden."""
    d = edge.walk + 0.1
    if rng.random() < 0.22:
        area = edge.box((t0, t1), (d + 0.1, d + 0.8))
        hedge(rng, stock, area, rng.uniform(1.0, 1.7), f'leaf{rng.integers(3)}')
        return
    kind = f'fence{rng.integers(4)}'
    height = rng.uniform(1.1, 1.7)
    (xa, ya), (xb, yb) = edge.at(t0, d), edge.at(t1, d)
    front = np.array([np.cos(edge.to_road), np.sin(edge.to_road), 0.0])
    for shift, normal in ((0.0, front), (-0.06, -front)):
        corners = [
            np.array(p) + shift * front
            for p in ((xa, ya, 0), (xb, yb, 0), (xb, yb, height), (xa, ya, height))
        ]
        stock.add(kind, Label.FENCE, quad(corners, (0, 0, (t1 - t0) / 2, 1), normal))
    stock.blockers.append((*edge.box((t0, t1), (d - 0.1, d + 0.2)), height))


def _sign(rng: Generator, stock: Stock, edge: Edge, t: float, facing: float) -> None:
    x, y = edge.at(t, 0.45)
    top, r = rng.uniform(2.4, 2.9), rng.uniform(0.36, 0.5)
    stock.add('colours', Label.POLE, tube((x, y, 0), (x, y, top + r), (0.08, 0.08), 6, _cell(rng, (0, 1, 3))))
    family, sides = [(decals.ROUND, 16), (decals.TRIANGLE, 3), (decals.SQUARE, 4)][rng.integers(3)]
    ahead = np.array([np.cos(facing), np.sin(facing), 0.0])
    for k in range(1 + int(rng.random() < 0.35)):
        centre = np.array([x, y, top - 2.1 * r * k])
        face = decals.sign_cell(int(rng.choice(family)))
        stock.add('signs', Label.SIGN, disc(centre + 0.08 * ahead, r, facing, face, sides))
        stock.add(
            'signs', Label.SIGN, disc(centre + 0.04 * ahead, r, facing + np.pi, decals.sign_cell(14), sides)
        )


def _lamp(rng: Generator, stock: Stock, edge: Edge, t: float) -> None:
    x, y = edge.at(t, 0.5)
    h, a = rng.uniform(5.5, 8.0), edge.to_road
    tone = _cell(rng, (0, 1, 2, 3))
    head = (x + 1.5 * np.cos(a), y + 1.5 * np.sin(a), h + 0.25)
    stock.add('colours', Label.POLE, tube((x, y, 0), (x, y, 1.4), (0.15, 0.15), 7, tone))
    stock.add('colours', Label.POLE, tube((x, y, 1.4), (x, y, h), (0.1, 0.08), 6, tone))
    stock.add('colours', Label.POLE, tube((x, y, h - 0.1), head, (0.06, 0.05), 5, tone))
    stock.add('colours', Label.POLE, box(head, (0.5, 0.5, 0.14), tone))
    stock.blockers.append((x - 0.1, y - 0.1, x + 0.1, y + 0.1, h))


def _cell(rng: Generator, choice: tuple[int, ...]) -> tuple[float, float, float, float]:
    return textures.cell(int(rng.choice(choice)), len(COLOURS))


def _lights(stock: Stock, edge: Edge, lit: int) -> None:
    """A traffic light that faces the traffic which comes in along the edge."""
    x, y = edge.at(3.0, 0.5)
    facing = edge.outwards
    dark = textures.cell(BLACK, len(COLOURS))
    stock.add('colours', Label.POLE, tube((x, y, 0), (x, y, 3.4), (0.08, 0.08), 6, dark))
    ahead = np.array([np.cos(facing), np.sin(facing), 0])
    stock.add('colours', Label.SIGN, box((x, y, 2.9), (0.42, 0.42, 1.1), dark))
    for k, colour in enumerate(('red', 'amber', 'green')):
        name = f'lamp_{colour}' if k == lit else 'colours'
        uv = (0.0, 0.0, 1.0, 1.0) if k == lit else dark
        at = np.array([x, y, 3.25 - 0.34 * k]) + 0.23 * ahead
        stock.add(name, Label.SIGN, disc(at, 0.13, facing, uv, 10))


def _furnish(rng: Generator, stock: Stock, layout: Layout, edge: Edge, *, detail: int) -> None:
    """Lamps, signs, bollards and trees on the pavement."""
    t = layout.corner + rng.uniform(3, 10)
    while t < REACH - 15:
        kind = rng.random()
        # Signs face the driver, who comes towards the crossing before it and leaves it behind afterwards.
        before = (edge.along_x and edge.sx < 0) or not layout.along_route(edge)
        facing = edge.outwards + (0.0 if before else np.pi)
        if kind < 0.32:
            _lamp(rng, stock, edge, t)
        elif kind < 0.64:
            _sign(rng, stock, edge, t, facing)
        elif kind < 0.8:
            for k in range(4):
                x, y = edge.at(t + 1.5 * k, 0.4)
                post = tube((x, y, 0), (x, y, KERB + 1.05), (0.085, 0.075), 7, _cell(rng, (1, 2, 6)))
                stock.add('colours', Label.POLE, post)
            t += 4.5
        elif edge.walk > 2.9 and rng.random() < 0.6:
            tree(rng, stock, edge.at(t, 0.8), rng.uniform(6.0, 9.0), detail)
        t += rng.uniform(3, 7.5)
    if rng.random() < 0.75:
        _lights(stock, edge, int(rng.integers(3)))


def _shop_board(rng: Generator, stock: Stock, edge: Edge, t: float) -> None:
    """A board that stands out from the front of a shop, across the pavement."""
    x, y = edge.at(t, edge.walk - 0.55)
    size = np.array(
        [0.1, 0.95, rng.uniform(0.7, 1.2)] if edge.along_x else [0.95, 0.1, rng.uniform(0.7, 1.2)]
    )
    uv = decals.sign_cell(int(rng.choice((10, 11, 12, 13))))
    stock.add('signs', Label.SIGN, box((x, y, rng.uniform(2.9, 3.5)), size, uv))


def _line_edge(
    rng: Generator, stock: Stock, edge: Edge, first: float, fronts: Fronts, *, detail: int
) -> None:
    """Houses, or a park, along one edge."""
    t = first
    if edge.district == 'park':
        _boundary(rng, stock, edge, t, REACH - 10)
        for place in np.arange(t + 2, REACH - 4, 5.5):
            at = edge.at(place + rng.uniform(-1.5, 1.5), edge.walk + rng.uniform(2.5, 9))
            tree(rng, stock, at, rng.uniform(8, 16), detail)
        hedge(rng, stock, edge.box((t, REACH), (edge.walk + 13, edge.walk + 16)), 5.0, 'leaf0')
        return
    choices = fronts['shop' if edge.district == 'shops' else 'home']
    while t < REACH - 8:
        front = choices[rng.integers(len(choices))]
        if rng.random() < 0.14:
            tree(rng, stock, edge.at(t + 3, edge.walk + 4), rng.uniform(8, 13), detail)
            t += 6.0
        house(rng, stock, edge, t, front)
        if edge.setback:
            _boundary(rng, stock, edge, t, t + front[1] - (1.2 if rng.random() < 0.5 else 0))
        elif rng.random() < 0.5:
            _shop_board(rng, stock, edge, t + rng.uniform(1, 4))
        t += front[1]


def _close(rng: Generator, stock: Stock, fronts: Fronts) -> None:
    """Shuts the view at the streets' ends."""
    for x, y in ((REACH, 0), (-REACH, 0), (0, REACH), (0, -REACH)):
        across = np.array([0.0, 1.0]) if x else np.array([1.0, 0.0])
        out = np.sign([x, y])
        for k in range(-3, 4):
            at = np.array([x, y]) + across * (k * 5 + rng.uniform(-1.5, 1.5)) + out * rng.uniform(-2, 5)
            tree(rng, stock, (at[0], at[1]), rng.uniform(9, 16), 26)
        # A distant row of houses behind everything: without it, gaps would show sky down to the ground.
        name, width, height = fronts['home'][rng.integers(len(fronts['home']))]
        centre = np.array([x, y]) + out * 14
        size = across * 2 * (REACH + 20) + np.abs(out) * 8
        repeat = float(round(2 * (REACH + 20) / width))
        stock.add(name, Label.BUILDING, box((*centre, height / 2), (*size, height), (0, 0, repeat, 1)))


def build(rng: Generator, layout: Layout) -> Stock:
    """Builds everything that stands still on the blocks of a quarter."""
    stock = Stock()
    stock.textures['colours'] = textures.palette(COLOURS, rng)
    stock.textures['signs'] = decals.signs(rng)
    for name, colour in (('red', (255, 70, 50)), ('amber', (255, 180, 40)), ('green', (60, 255, 150))):
        stock.textures[f'lamp_{name}'] = np.full((8, 8, 3), colour, np.uint8)
    for k in range(3):
        stock.textures[f'roof{k}'] = textures.roof(rng)
        stock.textures[f'leaf{k}'] = textures.foliage(rng)
    for k in range(4):
        stock.textures[f'fence{k}'] = textures.fence(rng, k >= 2)
    fronts: Fronts = {'shop': [], 'home': []}
    for kind, several in fronts.items():
        for k in range(7):
            floors = int(rng.choice([3, 3, 4, 4] if kind == 'shop' else [2, 3, 3]))
            image, width, height = textures.facade(rng, int(rng.integers(2, 5)), floors, kind == 'shop')
            stock.textures[f'{kind}{k}'] = image
            several.append((f'{kind}{k}', width, height))
    corner_depth = 11.5
    for edge in layout.edges:
        mate = next(
            e for e in layout.edges if (e.sx, e.sy) == (edge.sx, edge.sy) and e.along_x != edge.along_x
        )
        first = mate.walk + mate.setback + (0.0 if edge.along_x else corner_depth)
        detail = 170 if layout.along_route(edge) else 40
        _line_edge(rng, stock, edge, first, fronts, detail=detail)
        _furnish(rng, stock, layout, edge, detail=detail)
    _close(rng, stock, fronts)
    return stock
