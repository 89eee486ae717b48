"""A car's drive down a street of planes, and where it takes every pixel.

A ground plane and two walls give each pixel of a view a depth, the sky has none. Moving along the optical
axis zooms about the vanishing point, nearer things faster; pan, pitch and roll turn the camera; the lens
bends it all. Every step has an inverse in closed form, so that the way from the current view to an earlier
one and the way back are both exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME_SECONDS = 1 / 15
FOCAL = 0.86
"""Focal length over image width: about 60 degrees across."""
CAMERA_HEIGHT = 1.4
"""Metres above the road."""
CLOSEST = 0.25
"""Least share of its depth that is left of a point as the car nears it; beyond, it counts as passed."""
SWAY_SECONDS = 0.2
"""Time in which the suspension pitches and rolls by about three quarters (tanh 1) of its full movement."""


@dataclass(frozen=True, slots=True)
class Drive:
    """One car's motion, in camera terms."""

    speed: float
    """Metres per second, forwards."""
    yaw_rate: float
    """Radians per second: pan."""
    pitch: float
    """Radians that the suspension moves by between two frames far apart."""
    roll: float
    """The same about the optical axis."""
    walls: tuple[float, float]
    """Metres from the camera to the left and right walls."""
    horizon: float
    """Row of the vanishing point over image height."""
    vanishing: float
    """Column of the vanishing point over image width."""
    lens: float = 0.0
    """Radial distortion k of the division model (Fitzgibbon 2001): r becomes r / (1 + k r²), r over focal."""

    def turn(self, seconds: float) -> NDArray[np.float32]:
        """Return the rotation ``(3, 3)`` of rays from the view ``seconds`` earlier to the current one."""
        sway = np.tanh(seconds / SWAY_SECONDS)
        yaw, pitch, roll = -self.yaw_rate * seconds, self.pitch * sway, self.roll * sway
        c, s = np.cos((yaw, pitch, roll)), np.sin((yaw, pitch, roll))
        about_y = np.array([[c[0], 0, s[0]], [0, 1, 0], [-s[0], 0, c[0]]])
        about_x = np.array([[1, 0, 0], [0, c[1], s[1]], [0, -s[1], c[1]]])
        about_z = np.array([[c[2], -s[2], 0], [s[2], c[2], 0], [0, 0, 1]])
        return np.asarray(about_z @ about_x @ about_y, np.float32)


def random_drive(rng: np.random.Generator, lens: float = 0.0) -> Drive:
    """Return a drive: standing still, straight on, or turning; ``lens`` is the spread of lens distortion."""
    speed = 0.0 if rng.random() < 0.12 else float(rng.gamma(2.0, 2.2))
    turning = rng.random() < 0.3
    return Drive(
        speed=speed,
        yaw_rate=float(rng.normal(0, 0.15 if turning else 0.02)),
        pitch=float(rng.normal(0, 0.003)),
        roll=float(rng.normal(0, 0.003)),
        walls=(float(rng.uniform(4, 14)), float(rng.uniform(4, 14))),
        horizon=float(rng.uniform(0.36, 0.52)),
        vanishing=float(rng.uniform(0.38, 0.62)),
        lens=float(rng.normal(0, lens)) if lens else 0.0,
    )


class EgoMotion:
    """Where the pixels of views of one size go during a drive.

    Places are planes of x and of y, ``(2, H, W)`` float32, in pixels; ``size`` is height and width.
    """

    def __init__(self, drive: Drive, size: tuple[int, int]) -> None:
        height, width = size
        self._drive, self._focal = drive, np.float32(FOCAL * width)
        self._middle = np.array([(width - 1) / 2, (height - 1) / 2], np.float32)[:, None, None]
        off = np.array([(drive.vanishing - 0.5) * width, (drive.horizon - 0.5) * height], np.float32)
        self._ahead = off[:, None, None] / self._focal
        self.grid = np.stack(np.meshgrid(np.arange(width), np.arange(height))).astype(np.float32)
        """The place of every pixel itself."""
        bent = (self.grid - self._middle) / self._focal
        self._rays = bent / (1 + np.float32(drive.lens) * _squared(bent)) - self._ahead

    def to_current(self, seconds: float, *, sky: bool = False) -> NDArray[np.float32]:
        """Return where each pixel of the view ``seconds`` earlier lies in the current one.

        With ``sky`` as if all were infinitely far.
        """
        rays = self._rays if sky else self._driven(self._rays, -seconds)
        return self._seen(_turned(rays, self._drive.turn(seconds)))

    def to_earlier(self, seconds: float, *, sky: bool = False) -> NDArray[np.float32]:
        """Return where each pixel of the current view was ``seconds`` earlier: `to_current` turned round."""
        rays = _turned(self._rays, self._drive.turn(seconds).T)
        return self._seen(rays if sky else self._driven(rays, seconds))

    def _driven(self, rays: NDArray[np.float32], seconds: float) -> NDArray[np.float32]:
        """Return rays to the same points of ground or wall from where the car was ``seconds`` earlier."""
        x, y = rays
        left, right = (np.float32(wall) for wall in self._drive.walls)
        # One over the depth in metres of ground or wall, of which a ray meets the nearer first.
        nearness = np.maximum(y / np.float32(CAMERA_HEIGHT), np.maximum(-x / left, x / right))
        way = np.float32(self._drive.speed * seconds)
        return np.asarray(rays / np.maximum(1 + way * nearness, CLOSEST))

    def _seen(self, rays: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the places that the lens shows rays at."""
        straight = rays + self._ahead
        # The smaller root of r = s (1 + k r²), in the form that has a limit at k = 0.
        root = np.sqrt(np.maximum(1 - np.float32(4 * self._drive.lens) * _squared(straight), 0))
        return np.asarray(straight * (2 * self._focal / (1 + root)) + self._middle)


def _squared(rays: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rays[0] * rays[0] + rays[1] * rays[1])


def _turned(rays: NDArray[np.float32], turn: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rays ``(2, H, W)`` with depth 1 after a rotation."""
    x, y = rays
    right, down, ahead = (row[0] * x + row[1] * y + row[2] for row in turn)
    scale = 1 / np.maximum(ahead, np.float32(0.1))
    return np.stack((right * scale, down * scale))
