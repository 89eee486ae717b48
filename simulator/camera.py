"""The simulated camera: its pose on the car, and how light becomes an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from simulator.layout import Pose
    from simulator.light import Light

NEAR, FAR = 0.3, 260.0
"""Distances in metres between which something is drawn."""


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """A pinhole camera without distortion."""

    width: int
    height: int
    focal: float
    """Focal length in pixels, the same in both directions."""

    @classmethod
    def with_field(cls, size: tuple[int, int], degrees: float) -> Intrinsics:
        """A camera with the horizontal field of view ``degrees``; ``size`` is rows, columns."""
        return cls(size[1], size[0], size[1] / 2 / float(np.tan(np.radians(degrees) / 2)))

    def projection(self) -> list[float]:
        """OpenGL projection matrix, column by column."""
        x, y = 2 * self.focal / self.width, 2 * self.focal / self.height
        z, w = (FAR + NEAR) / (NEAR - FAR), 2 * FAR * NEAR / (NEAR - FAR)
        return [x, 0, 0, 0, 0, y, 0, 0, 0, 0, z, -1, 0, 0, w, 0]


@dataclass(frozen=True, slots=True)
class View:
    """Where the camera is and how it is turned."""

    eye: NDArray[np.float64]
    axes: NDArray[np.float64]
    """Right, up and forward in world coordinates, one a row."""

    def matrix(self) -> list[float]:
        """OpenGL view matrix, column by column."""
        m = np.eye(4)
        m[:3, :3] = self.axes * np.array([[1], [1], [-1]])
        m[:3, 3] = -m[:3, :3] @ self.eye
        return list(m.T.ravel())


class Mount:
    """A camera behind a windscreen: height, tilt, and the car's sway."""

    def __init__(self, rng: Generator, fps: float) -> None:
        self._height = rng.uniform(1.3, 1.5)
        self._pitch, self._yaw = rng.normal(-0.005, 0.015), rng.normal(0, 0.01)
        self._phases, self._fps = rng.uniform(0, 6, 5), fps

    def view(self, pose: Pose, bend: float, frame: int) -> View:
        """The camera for the car's pose.

        Args:
            pose: Position and heading of the car.
            bend: Rate of turn in radians a second, which makes the car roll.
            frame: Number of the frame.
        """
        x, y, yaw = pose
        seconds = frame / self._fps
        a = self._phases
        bounce = 0.012 * np.sin(9.1 * seconds + a[0]) + 0.01 * np.sin(4.3 * seconds + a[1])
        pitch = self._pitch + 0.0035 * np.sin(7.7 * seconds + a[2]) + 0.003 * np.sin(3.1 * seconds + a[3])
        roll = 0.03 * bend + 0.003 * np.sin(2.3 * seconds + a[4])
        heading = yaw + self._yaw + 0.25 * bend
        forward = np.array([np.cos(pitch) * np.cos(heading), np.cos(pitch) * np.sin(heading), np.sin(pitch)])
        right = np.cross(forward, (0.0, 0.0, 1.0))
        right /= np.linalg.norm(right)
        up = np.cross(right, forward)
        turned = np.stack(
            [np.cos(roll) * right + np.sin(roll) * up, np.cos(roll) * up - np.sin(roll) * right, forward]
        )
        eye = np.array([x + 0.6 * np.cos(yaw), y + 0.6 * np.sin(yaw), self._height + bounce])
        return View(eye, turned)


def develop(light: Light, linear: NDArray[np.float32], rng: Generator) -> NDArray[np.uint8]:
    """Turns linear light into an image: lens, exposure, tone curve, noise.

    Args:
        light: Gives the camera's settings.
        linear: Light, shape ``(H, W, 3)``.
        rng: Source of the noise.
    """
    height, width = linear.shape[:2]
    soft = np.asarray(cv2.GaussianBlur(linear, (0, 0), light.blur), np.float32)
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    fall = (1 - 0.12 * (x * x + y * y)).astype(np.float32)[..., None]
    exposed = soft * fall * (light.exposure * np.asarray(light.balance, np.float32))
    # A shoulder instead of a hard limit keeps some drawing in bright clouds.
    toned = np.where(exposed < 0.7, exposed, 0.7 + 0.32 * (1 - np.exp(-(exposed - 0.7) / 0.32)))
    grey = np.power(np.clip(toned, 0, 1), 1 / 2.2)
    # The recordings that this imitates are contrasty: dark things are darker than a plain curve has them.
    grey = 255 * (grey + light.contrast * grey * (grey - 0.36) * (1 - grey))
    grain = rng.standard_normal((height, width, 3), np.float32)
    grain = 0.6 * grain + 0.4 * grain.mean(-1, keepdims=True)
    return np.asarray(np.clip(grey + light.noise * grain * (0.6 + 0.4 * grey / 128), 0, 255), np.uint8)
