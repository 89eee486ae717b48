"""What a frame cannot show: how far each pixel is, where the camera is, and what lies on the ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simulator.camera import FAR, NEAR
from simulator.ground import CELL
from simulator.labels import Label
from simulator.layout import REACH
from vss_ros.images.ground import FREE, UNKNOWN
from vss_ros.images.ground import Pose as Pose3D
from vss_ros.images.pinhole import Pinhole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from simulator.camera import Intrinsics, View
    from simulator.layout import Pose
    from vss_ros.images.ground import GroundView


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The world of one frame; places are in its frame, x and y along the streets, z up, metres."""

    buffer: NDArray[np.float32]
    """The renderer's depth buffer at the middles of the image's pixels, 0 to 1, ``(H, W)``."""
    lens: Intrinsics
    view: View
    ground: NDArray[np.uint8]
    """Class of each cell of the ground map."""
    things: Sequence[tuple[Pose, tuple[float, float, float]]]
    """Position and heading, and length, width and height of all that moves or is parked."""

    @property
    def depth(self) -> NDArray[np.float32]:
        """Metres along the optical axis, ``(H, W)``; NaN: sky."""
        metres = 2 * FAR * NEAR / (FAR + NEAR - (2 * self.buffer - 1) * (FAR - NEAR))
        return np.where(metres < 0.99 * FAR, metres, np.nan).astype(np.float32)

    def places(self) -> NDArray[np.float64]:
        """Return where each pixel's surface is, ``(H, W, 3)``, by the inverse of the renderer's matrices."""
        height, width = self.buffer.shape
        x, y = np.meshgrid(
            (np.arange(width) + 0.5) / width * 2 - 1, 1 - (np.arange(height) + 0.5) / height * 2
        )
        clip = np.stack([x, y, 2.0 * self.buffer - 1, np.ones_like(x)], -1)
        projection, view = (np.array(m).reshape(4, 4).T for m in (self.lens.projection(), self.view.matrix()))
        world = clip @ np.linalg.inv(projection @ view).T
        return np.asarray(world[..., :3] / world[..., 3:])

    @property
    def camera(self) -> Pinhole:
        """The image's geometry."""
        lens = self.lens
        centre = (lens.width - 1) / 2, (lens.height - 1) / 2
        return Pinhole((lens.height, lens.width), (lens.focal, lens.focal), centre)

    @property
    def pose(self) -> Pose3D:
        """Where the camera is in a frame on the ground below it, x in the direction that it looks."""
        right, up, ahead = self.view.axes
        level = ahead[:2] / np.linalg.norm(ahead[:2])
        turn = np.array([[level[0], level[1], 0], [-level[1], level[0], 0], [0, 0, 1]])
        return Pose3D(turn @ np.stack([right, -up, ahead], 1), np.array([0, 0, self.view.eye[2]]))

    def agreement(self, view: GroundView, cells: NDArray[np.int8], within: float = 15.0) -> float:
        """Return the share of the known cells of that camera's ground whose drivability is the true one."""
        places = view.origin[:, None] + (np.arange(view.side) + 0.5) * view.cell
        x, y = np.meshgrid(*places)
        ahead = self.view.axes[2, :2] / np.linalg.norm(self.view.axes[2, :2])
        east, north = ahead[0] * x - ahead[1] * y, ahead[1] * x + ahead[0] * y
        true = self.drivable(self.view.eye[0] + east, self.view.eye[1] + north)
        known = (cells != UNKNOWN) & (np.hypot(x, y) <= within)
        return float(((cells == FREE) == true)[known].mean())

    def drivable(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which places are road on which nothing stands."""
        row, column = (np.clip((v + REACH) / CELL, 0, len(self.ground) - 1).astype(int) for v in (y, x))
        free = self.ground[row, column] == Label.ROAD
        for (tx, ty, turn), (length, width, _) in self.things:
            c, s = np.cos(turn), np.sin(turn)
            ahead, left = (x - tx) * c + (y - ty) * s, (y - ty) * c - (x - tx) * s
            free &= ~((np.abs(ahead) < length / 2) & (np.abs(left) < width / 2))
        return np.asarray(free)
