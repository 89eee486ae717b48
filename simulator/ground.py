"""Ground map of the simulated quarter: what colour and class road, pavement and grass have where."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np

from simulator.labels import Label
from simulator.layout import REACH
from simulator.mesh import Mesh, join, polygon, quad
from simulator.textures import noise, to_image

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from simulator.layout import Layout

CELL = 0.07
"""Size of a map cell in metres."""
_SIDE = int(2 * REACH / CELL)


@dataclass(frozen=True, slots=True)
class Ground:
    """Maps of the ground; row and column of a place are ``(y + REACH) / CELL`` and ``(x + REACH) / CELL``."""

    colour: list[NDArray[np.uint8]]
    """RGB maps, each half as fine as the one before."""
    labels: NDArray[np.uint8]
    detail: NDArray[np.float32]
    """Fine grain, to be repeated; brightness factor less one, one cell is 1.5 cm."""


def _px(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.round((points + REACH) / CELL * 16).astype(np.int32)


def corner_line(layout: Layout, sx: int, sy: int, inset: float = 0.0) -> NDArray[np.float64]:
    """Kerb line of one block, moved ``inset`` metres into the block; shape ``(N, 2)``."""
    r, far = layout.corner, REACH
    turn = np.linspace(0, np.pi / 2, 10)
    arc = np.stack([r - (r - inset) * np.cos(turn), r - (r - inset) * np.sin(turn)], 1)
    line = np.concatenate([[(inset, far)], arc, [(far, inset)]])
    return np.asarray((line + np.array([layout.road[1], layout.road[0]])) * np.array([sx, sy]))


def blocks(layout: Layout, kerb: float) -> tuple[Mesh, Mesh]:
    """Surfaces of the four blocks at height ``kerb``, and their kerb faces."""
    tops, faces = [], []
    for sx in (-1, 1):
        for sy in (-1, 1):
            line = corner_line(layout, sx, sy)
            far = np.array([[sx, sy]]) * (REACH + np.array([layout.road[1], layout.road[0]]))
            ring = np.concatenate([far, line])
            corners = np.column_stack([ring, np.full(len(ring), kerb)])
            tops.append(polygon(list(corners), np.zeros((len(ring), 2)), (0, 0, 1)))
            for a, b in pairwise(line):
                normal = np.array([a[1] - b[1], b[0] - a[0], 0.0]) * (-sx * sy)
                faces.append(quad([(*a, 0), (*b, 0), (*b, kerb), (*a, kerb)], normal=normal))
    return join(tops), join(faces)


def _surface(rng: Generator, layout: Layout) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Bare road, pavement and grass."""
    labels = np.full((_SIDE, _SIDE), int(Label.ROAD), np.uint8)
    for sx in (-1, 1):
        for sy in (-1, 1):
            ring = np.concatenate([[(sx * 2 * REACH, sy * 2 * REACH)], corner_line(layout, sx, sy)])
            cv2.fillPoly(labels, [_px(ring)], int(Label.PAVEMENT), shift=4)
    for edge in layout.edges:
        if edge.district != 'shops':
            corners = _px(np.array(edge.box((edge.walk, REACH), (edge.walk, 60)))) >> 4
            (c0, r0, c1, r1) = (max(int(v), 0) for v in corners)
            labels[r0 : r1 + 1, c0 : c1 + 1] = Label.TREE
    road = np.array([86, 87, 90]) * rng.uniform(0.8, 1.25)
    walk = np.array([(126, 122, 116), (108, 106, 106), (140, 132, 122)][rng.integers(3)]) * rng.uniform(
        0.85, 1.1
    )
    grass = np.array([84, 94, 48]) * rng.uniform(0.75, 1.1)
    table = np.zeros((12, 3), np.float32)
    table[[Label.ROAD, Label.PAVEMENT, Label.TREE]] = road, walk, grass
    colour = table[labels]
    small = noise(rng, (_SIDE // 4, _SIDE // 4), 60, 5)
    colour *= 1 + 0.05 * np.asarray(cv2.resize(small, (_SIDE, _SIDE)), np.float32)[..., None]
    slab = int(rng.choice([7, 9, 13]))
    lines = np.zeros((_SIDE, _SIDE), bool)
    lines[::slab], lines[:, :: slab + 4] = True, True
    colour[lines & (labels == Label.PAVEMENT)] *= 0.86
    return colour, labels


def _line(
    image: NDArray[np.float32], a: tuple[float, float], b: tuple[float, float], width: float, ink: float
) -> None:
    lo, hi = np.minimum(a, b), np.maximum(a, b)
    lo, hi = (
        np.asarray([lo, hi]) + [[-width / 2], [width / 2]] * (np.asarray(a) == np.asarray(b)) + REACH
    ) / CELL
    (c0, r0), (c1, r1) = np.round(lo).astype(int), np.round(hi).astype(int)
    area = image[max(r0, 0) : r1, max(c0, 0) : c1]
    area += 0.85 * (ink - area)


def _markings(rng: Generator, image: NDArray[np.float32], layout: Layout) -> None:
    ink = rng.uniform(165, 220)
    stop = 2.5
    for k, along_x in enumerate((True, False)):
        half, other = layout.road[k], layout.road[1 - k]
        for sign in (-1, 1):
            t, step = other + layout.corner + stop, float(rng.choice([4.0, 6.0]))
            while t < REACH:
                a, b = (sign * t, 0.0), (sign * (t + step * 0.55), 0.0)
                _line(image, a if along_x else a[::-1], b if along_x else b[::-1], 0.13, ink)
                t += step
            t = other + layout.corner + 0.6
            for w in np.arange(0.1, half - 0.4, 0.9):
                # Traffic keeps left, so the give-way line lies left of the middle as seen when driving in.
                side = sign if along_x else -sign
                a, b = (sign * t, side * -w), (sign * t, side * -(w + 0.6))
                _line(image, a if along_x else a[::-1], b if along_x else b[::-1], 0.2, ink)
            if not layout.parking[k]:
                for side in (-1, 1):
                    for gap in (0.3, 0.5):
                        y = side * (half - gap)
                        a, b = (sign * (other + layout.corner), y), (sign * REACH, y)
                        _yellow(image, a if along_x else a[::-1], b if along_x else b[::-1])


def _yellow(image: NDArray[np.float32], a: tuple[float, float], b: tuple[float, float]) -> None:
    for channel, ink in enumerate((190.0, 160.0, 70.0)):
        plane = image[..., channel]
        _line(plane, a, b, 0.09, ink)


def _wear(rng: Generator, image: NDArray[np.float32], layout: Layout, labels: NDArray[np.uint8]) -> None:
    """Patches, manholes, tar lines, wheel tracks."""
    for _ in range(70):
        x, y = rng.uniform(-90, 90), rng.uniform(-1, 1)
        place = (x, y * layout.road[0]) if rng.random() < 0.5 else (y * layout.road[1], x)
        c, r = (int((v + REACH) / CELL) for v in place)
        tone = rng.uniform(0.75, 1.15)
        if rng.random() < 0.35:
            stamp = np.zeros((24, 24), np.uint8)
            cv2.circle(stamp, (12, 12), 5, 255, -1)
            area = image[r : r + 24, c : c + 24]
            area[stamp[: len(area), : area.shape[1]] > 0] *= 0.62
        else:
            w, h = rng.integers(8, 60, 2)
            area, kind = image[r : r + h, c : c + w], labels[r : r + h, c : c + w]
            area[kind == Label.ROAD] *= tone
    for k in (0, 1):
        for side in (-1, 1):
            for wheel in (-0.75, 0.75):
                at = int((side * layout.lane + wheel + REACH) / CELL)
                strip = image[at - 4 : at + 5] if k == 0 else image[:, at - 4 : at + 5]
                strip *= 0.955


def lay(rng: Generator, layout: Layout) -> Ground:
    """Paints the ground map of a quarter."""
    colour, labels = _surface(rng, layout)
    _wear(rng, colour, layout, labels)
    _markings(rng, colour, layout)
    out = to_image(colour)
    for sx in (-1, 1):
        for sy in (-1, 1):
            line = corner_line(layout, sx, sy, 0.09)
            cv2.polylines(out, [_px(line)], False, (148, 146, 142), 2, cv2.LINE_AA, 4)
            gutter = corner_line(layout, sx, sy, -0.12)
            cv2.polylines(out, [_px(gutter)], False, (62, 62, 62), 2, cv2.LINE_AA, 4)
    maps = [out]
    for _ in range(3):
        maps.append(np.asarray(cv2.pyrDown(maps[-1]), np.uint8))
    detail = (0.6 * rng.standard_normal((512, 512)) + 0.4 * noise(rng, (512, 512), 30)).astype(np.float32)
    return Ground(maps, labels, np.asarray(cv2.GaussianBlur(detail, (0, 0), 0.8), np.float32))
