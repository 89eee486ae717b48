"""Sun, shadows and sky of the simulated quarter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from simulator.layout import REACH
from simulator.textures import noise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

CELL = 0.25
"""Size of a cell of the shadow field in metres."""
CLEAR = 60.0
"""Metres of haze between the street and the sun."""


@dataclass(frozen=True, slots=True)
class Light:
    """Weather, and how the camera exposes it."""

    to_sun: tuple[float, float, float]
    sun: float
    """Strength of direct light, 0 (overcast) to 1."""
    haze: float
    """Distance in metres at which the fog has swallowed 63 % of a colour."""
    exposure: float
    """Factor on linear light."""
    balance: tuple[float, float, float]
    """White balance: a factor for each of red, green and blue."""
    noise: float
    """Spread of the sensor noise at middle grey, in grey levels."""
    contrast: float
    """Steepness of the tone curve beyond the plain one."""
    blur: float
    """Spread of the lens blur in pixels."""
    sky: Floats
    """Sky colours, rows from the zenith to the horizon, columns once around; linear light."""

    @property
    def fog(self) -> Floats:
        """Colour that far things fade to."""
        return np.asarray(self.sky[-8:].mean((0, 1)), np.float32)


def weather(rng: Generator) -> Light:
    """Draws weather and exposure."""
    azimuth, height = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(20, 55))
    flat = np.cos(height)
    overcast = rng.random() < 0.4
    sun = float(rng.uniform(0.0, 0.25) if overcast else rng.uniform(0.55, 1.0))
    dim = rng.random() < 0.15
    warm = rng.normal(0, 0.035)
    return Light(
        to_sun=(float(flat * np.cos(azimuth)), float(flat * np.sin(azimuth)), float(np.sin(height))),
        sun=sun,
        haze=float(rng.uniform(260, 1200)),
        exposure=float(rng.uniform(0.5, 0.8) if dim else rng.uniform(1.0, 1.75)),
        balance=(float(1 + warm), 1.0, float(1 - warm + rng.normal(0, 0.02))),
        noise=float(rng.uniform(0.8, 2.5)),
        contrast=float(rng.uniform(0.6, 1.7)),
        blur=float(rng.uniform(0.35, 0.65)),
        sky=_sky(rng, sun),
    )


def hazed(light: Light, haze: float) -> Light:
    """Return the same light in other air: fog dims the sun and hides the sky but for its brightness.

    Args:
        light: In clear air.
        haze: See `Light.haze`.
    """
    clear = np.float32(np.exp(-CLEAR / haze))
    sky = light.sky * clear + light.fog * (1 - clear)
    return replace(light, haze=haze, sun=light.sun * float(clear), sky=np.asarray(sky, np.float32))


def _sky(rng: Generator, sun: float) -> Floats:
    height, width = 256, 1024
    up = np.linspace(1, 0, height, dtype=np.float32)[:, None, None]
    zenith = np.array([0.22, 0.42, 0.8] if sun > 0.4 else [0.62, 0.67, 0.74], np.float32)
    horizon = np.array([0.92, 0.95, 0.98], np.float32) * rng.uniform(0.85, 1.1)
    sky = horizon + (zenith - horizon) * up ** rng.uniform(0.4, 0.7)
    wide = noise(rng, (height, width // 2), 120, 5)
    clouds = np.concatenate([wide, wide[:, ::-1]], 1)
    cover = np.clip((clouds + rng.uniform(-0.6, 0.9)) * 0.7, 0, 1)[..., None]
    shade = 1.02 - 0.25 * np.clip(clouds, 0, 2)[..., None] * (0.5 if sun > 0.4 else 1.0)
    sky = sky * (1 - cover) + cover * shade * np.array([1.1, 1.1, 1.12], np.float32)
    return np.asarray(sky * rng.uniform(0.62, 0.95), np.float32)


def shadow_field(blockers: Sequence[tuple[float, float, float, float, float]], light: Light) -> Floats:
    """For each cell of the ground, the height up to which the sun does not reach.

    Args:
        blockers: Rectangles ``(x0, y0, x1, y1, height)`` in metres.
        light: Gives the sun's direction.

    Returns:
        Heights in metres; row and column of a place are ``(y + REACH) / CELL`` and ``(x + REACH) / CELL``.
    """
    side = int(2 * REACH / CELL)
    heights = np.zeros((side, side), np.float32)
    for x0, y0, x1, y1, top in blockers:
        c0, r0, c1, r1 = (int(np.clip((v + REACH) / CELL, 0, side - 1)) for v in (x0, y0, x1, y1))
        area = heights[r0 : r1 + 1, c0 : c1 + 1]
        np.maximum(area, top, out=area)
    x, y, z = light.to_sun
    flat = np.hypot(x, y)
    out = np.zeros_like(heights)
    for way in np.arange(2 * CELL, heights.max() * flat / z + CELL, CELL):
        move = np.array([[1, 0, -way * x / flat / CELL], [0, 1, -way * y / flat / CELL]], np.float32)
        shifted = cv2.warpAffine(heights, move, (side, side), flags=cv2.INTER_NEAREST)
        np.maximum(out, np.asarray(shifted, np.float32) - way * z / flat, out=out)
    return np.asarray(cv2.GaussianBlur(out, (0, 0), 0.7), np.float32)
