"""Lighting of a rendered view: ground, shadows, haze and sky, pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from simulator import ground as ground_map
from simulator import light as lighting
from simulator.camera import FAR, NEAR
from simulator.labels import Label
from simulator.layout import KERB, REACH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from simulator.camera import Intrinsics, View
    from simulator.ground import Ground
    from simulator.layout import Pose
    from simulator.light import Light

    Floats = NDArray[np.float32]

_SPOT = 0.1
"""Size of a cell of the map of moving shadows in metres."""
_SPOTS = 640
_LINEAR = (np.linspace(0, 1, 256) ** 2.2).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Spots:
    """How much light reaches the ground around the driver despite moving things."""

    light: Floats
    """Factors from 0 to 1; columns run ahead, rows to the left."""
    frame: tuple[float, float, float, float]
    """Cosine and sine of the driver's heading, and the position."""


class Shader:
    """Shades the views of one quarter.

    Args:
        ground: Map of the ground.
        light: Weather.
        field: Shadow field, see `lighting.shadow_field`.
        intrinsics: Camera at the resolution of the rendered views.
    """

    def __init__(self, ground: Ground, light: Light, field: Floats, intrinsics: Intrinsics) -> None:
        self._ground, self._light, self._field = ground, light, field
        f, w, h = intrinsics.focal, intrinsics.width, intrinsics.height
        self._u = ((np.arange(w) + 0.5 - w / 2) / f).astype(np.float32)[None]
        self._v = (-(np.arange(h) + 0.5 - h / 2) / f).astype(np.float32)[:, None]

    def shade(
        self, rgb: NDArray[np.uint8], depth: Floats, kinds: NDArray[np.uint8], view: View, spots: Spots
    ) -> tuple[Floats, NDArray[np.uint8]]:
        """Lights one view.

        Args:
            rgb: Colours with the sun's light but without shadows, shape ``(H, W, 3)``.
            depth: OpenGL depth buffer, shape ``(H, W)``.
            kinds: Class of each pixel; 100 stands for road and 101 for the top of a block, shape ``(H, W)``.
            view: The camera.
            spots: Map of moving shadows, see `moving_shadows`.

        Returns:
            Linear light and exact classes.
        """
        z = 2 * FAR * NEAR / (FAR + NEAR - (2 * depth - 1) * (FAR - NEAR))
        ray = [self._u * view.axes[0, k] + self._v * view.axes[1, k] + view.axes[2, k] for k in range(3)]
        ray = [r.astype(np.float32) for r in ray]
        flat = kinds >= 100
        level = np.where(kinds == 101, np.float32(KERB), np.float32(0))
        z = np.where(flat, (level - view.eye[2]) / np.minimum(ray[2], -1e-4), z).astype(np.float32)
        x, y, up = (np.float32(e) + z * r for e, r in zip(view.eye, ray, strict=True))
        colour = _LINEAR[rgb]
        labels = kinds.copy()
        self._cover_ground(colour, labels, flat, x, y, z, spots)
        self._cast(colour, kinds, flat, (x, y, up), ray)
        fade = np.exp(-z / self._light.haze)[..., None]
        colour = colour * fade + self._light.fog * 0.95 * (1 - fade)
        self._add_sky(colour, kinds == Label.SKY, ray)
        return colour, labels

    def _cover_ground(
        self,
        colour: Floats,
        labels: NDArray[np.uint8],
        flat: NDArray[np.bool_],
        x: Floats,
        y: Floats,
        z: Floats,
        spots: Spots,
    ) -> None:
        top = int(np.argmax(flat.any(1)))
        rows = slice(top, None)
        flat, x, y, z = flat[rows], x[rows], y[rows], z[rows]
        c, r = (x + REACH) / ground_map.CELL - 0.5, (y + REACH) / ground_map.CELL - 0.5
        # A pixel far away covers many cells of the map: coarser maps there, or it would flicker.
        level = np.log2(np.maximum(z, 1) / 14).clip(0, 3)
        painted = np.zeros((*flat.shape, 3), np.float32)
        for k, layer in enumerate(self._ground.colour):
            part = np.maximum(1 - np.abs(level - k), 0)[..., None]
            seen = np.flatnonzero(part.any((1, 2)))
            if len(seen):
                s = slice(seen[0], seen[-1] + 1)
                found = cv2.remap(
                    layer, c[s] / 2**k, r[s] / 2**k, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
                )
                painted[s] += part[s] * found
        scale = 1 / 0.015
        fine = cv2.remap(self._ground.detail, (x * scale) % 510, (y * scale) % 510, cv2.INTER_LINEAR)
        painted *= (1 + 0.13 * np.asarray(fine) * np.clip(9 / np.maximum(z, 1), 0, 1))[..., None]
        base = _LINEAR[np.clip(painted, 0, 255).astype(np.uint8)]
        amount = 0.5 + 0.6 * self._light.sun * self._light.to_sun[2]
        base *= amount * self._dim(x, y, spots)[..., None]
        kind = cv2.remap(self._ground.labels, c, r, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        block = np.where(np.asarray(kind) == Label.ROAD, Label.PAVEMENT, kind)
        kind = np.where(labels[rows] == 100, Label.ROAD, block)
        colour[rows][flat] = base[flat]
        labels[rows][flat] = kind[flat]

    @staticmethod
    def _dim(x: Floats, y: Floats, spots: Spots) -> Floats:
        c, s, ex, ey = spots.frame
        ahead, left = (x - ex) * c + (y - ey) * s, (y - ey) * c - (x - ex) * s
        found = cv2.remap(
            spots.light, ahead / _SPOT + 60, left / _SPOT + _SPOTS / 2, cv2.INTER_LINEAR, borderValue=1.0
        )
        return np.asarray(found, np.float32)

    def moving_shadows(self, pose: Pose, things: Sequence[tuple[Pose, tuple[float, float, float]]]) -> Spots:
        """Map the shadows of moving things around the driver.

        Args:
            pose: The driver's pose.
            things: Pose and size (length, width, height) of each thing.
        """
        x, y, yaw = pose
        c, s = float(np.cos(yaw)), float(np.sin(yaw))
        near, sun = np.ones((_SPOTS, _SPOTS), np.float32), np.ones((_SPOTS, _SPOTS), np.float32)
        lx, ly, lz = self._light.to_sun
        for (tx, ty, turn), (length, width, height) in things:
            if abs(tx - x) + abs(ty - y) > 90:
                continue
            ahead = np.array([np.cos(turn), np.sin(turn)])
            a, b = ahead * length / 2, np.array([-ahead[1], ahead[0]]) * width / 2
            ring = np.array([a + b, a - b, -a - b, -a + b]) + np.array([tx - x, ty - y])
            shift = -np.array([lx, ly]) / lz * height * 0.9
            for image, points, tone in (
                (near, ring, 0.42),
                (sun, np.concatenate([ring, ring + shift]), 0.0),
            ):
                own = points @ np.array([[c, -s], [s, c]])
                px = np.round((own / _SPOT + [60, _SPOTS / 2]) * 16).astype(np.int32)
                cv2.fillConvexPoly(image, cv2.convexHull(px), tone, cv2.LINE_8, 4)
        weight = 0.55 * self._light.sun
        soft = np.asarray(cv2.GaussianBlur(near, (0, 0), 2.2), np.float32)
        sharp = np.asarray(cv2.GaussianBlur(sun, (0, 0), 0.8), np.float32)
        return Spots(np.asarray(soft * (1 - weight + weight * sharp), np.float32), (c, s, x, y))

    def _cast(
        self,
        colour: Floats,
        kinds: NDArray[np.uint8],
        flat: NDArray[np.bool_],
        place: tuple[Floats, Floats, Floats],
        ray: list[Floats],
    ) -> None:
        """Shadows of houses and trees, and the dark foot of everything that stands."""
        x, y, up = place
        # Looked up half a metre in front of a wall, not inside it.
        pull = np.where(flat, np.float32(0), np.float32(0.6))
        c = (x - pull * ray[0] + REACH) / lighting.CELL
        r = (y - pull * ray[1] + REACH) / lighting.CELL
        height = np.asarray(cv2.remap(self._field, c, r, cv2.INTER_LINEAR), np.float32)
        shadow = np.clip((height - np.maximum(up, 0)) * 2.5, 0, 1)
        shadow *= np.where(kinds == Label.TREE, np.float32(0.4), np.float32(1))
        factor = 1 - 0.68 * self._light.sun * shadow
        foot = 0.72 + 0.28 * np.clip(up / 0.8, 0, 1)
        factor *= np.where(flat, np.float32(1), foot)
        colour *= factor[..., None]

    def _add_sky(self, colour: Floats, sky: NDArray[np.bool_], ray: list[Floats]) -> None:
        rows = np.flatnonzero(sky.any(1))
        if not len(rows):
            return
        s = slice(rows[0], rows[-1] + 1)
        x, y, up = (r[s] for r in ray)
        flat = np.hypot(x, y)
        height, width = self._light.sky.shape[:2]
        row = (1 - np.clip(np.arctan2(up, flat) / (np.pi / 2), 0, 1)) * (height - 1)
        col = (np.arctan2(y, x) / (2 * np.pi) + 0.5) * (width - 1)
        found = cv2.remap(self._light.sky, col.astype(np.float32), row.astype(np.float32), cv2.INTER_LINEAR)
        colour[s][sky[s]] = np.asarray(found)[sky[s]]
