"""A camera's geometry: from pixels to rays and back.

The optical frame is that of REP-103: x right, y down, z ahead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from vss_ros.errors import VssError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FISHEYE = ('equidistant', 'fisheye')


@dataclass(frozen=True, slots=True)
class Pinhole:
    """What a sensor_msgs/CameraInfo says of an image; two that are equal give the same rays."""

    size: tuple[int, int]
    """Height and width in pixels."""
    focal: tuple[float, float]
    """Across and down, pixels."""
    centre: tuple[float, float]
    """Column and row of the optical axis; the middle of the first pixel is 0."""
    distortion: tuple[float, ...] = ()
    """Coefficients as OpenCV has them; empty: none."""
    fisheye: bool = False

    @classmethod
    def of(cls, info: Any, *, rectified: bool = False) -> Pinhole:
        """Return the geometry of the image that a CameraInfo belongs to.

        Args:
            info: The message; of its binning and region of interest the image is taken to be what is left.
            rectified: Whether the image was rectified, so that ``p`` holds in place of ``k`` and ``d``.

        Raises:
            VssError: It is not calibrated, or contradicts itself.
        """
        matrix = (
            np.asarray(info.p, float).reshape(3, 4) if rectified else np.asarray(info.k, float).reshape(3, 3)
        )
        if not (info.height and info.width and matrix[0, 0] > 0 and matrix[1, 1] > 0):
            raise VssError(
                f'expected a camera_info with size and focal lengths, got {info.width}x{info.height}, '
                f'{matrix[0, 0]:g}, {matrix[1, 1]:g}; calibrate the camera'
            )
        roi, bins = info.roi, (max(1, info.binning_x), max(1, info.binning_y))
        size = (roi.height or info.height) // bins[1], (roi.width or info.width) // bins[0]
        whole = cls(
            (size[0] * bins[1], size[1] * bins[0]),
            (matrix[0, 0], matrix[1, 1]),
            (matrix[0, 2] - roi.x_offset, matrix[1, 2] - roi.y_offset),
            () if rectified or not np.any(info.d) else tuple(map(float, info.d)),
            info.distortion_model in FISHEYE,
        )
        return whole.scaled(size)

    def scaled(self, size: tuple[int, int]) -> Pinhole:
        """Return the same camera with its image brought to a height and width."""
        down, across = size[0] / self.size[0], size[1] / self.size[1]
        return replace(
            self,
            size=size,
            focal=(self.focal[0] * across, self.focal[1] * down),
            centre=((self.centre[0] + 0.5) * across - 0.5, (self.centre[1] + 0.5) * down - 0.5),
        )

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The camera matrix, ``(3, 3)``."""
        return np.array([[self.focal[0], 0, self.centre[0]], [0, self.focal[1], self.centre[1]], [0, 0, 1]])

    def rays(self) -> NDArray[np.float32]:
        """Return where each pixel's ray meets z = 1: x and y, ``(H, W, 2)`` float32."""
        height, width = self.size
        pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)
        if not self.distortion:
            return np.asarray((pixels - self.centre) / self.focal, np.float32)
        undistort = cv2.fisheye.undistortPoints if self.fisheye else cv2.undistortPoints
        flat = undistort(pixels.reshape(-1, 1, 2), self.matrix, np.array(self.distortion))
        return np.asarray(flat, np.float32).reshape(height, width, 2)

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return column and row of points ``(N, 3)`` in the optical frame, metres; NaN: out of the image."""
        ahead = points[:, 2] > 1e-3
        if not self.distortion:
            flat = points[:, :2] / np.where(ahead, points[:, 2], 1)[:, None]
            pixels = flat * self.focal + self.centre
        else:
            safe = np.where(ahead[:, None], points, (0.0, 0.0, 1.0)).reshape(-1, 1, 3)
            still, coefficients = np.zeros(3), np.array(self.distortion)
            if self.fisheye:
                found, _ = cv2.fisheye.projectPoints(safe, still, still, self.matrix, coefficients)
            else:
                found, _ = cv2.projectPoints(safe, still, still, self.matrix, coefficients)
            pixels = np.asarray(found, float).reshape(-1, 2)
            # Beyond the edge the polynomial folds back into the image.
            edge = np.abs(self.rays()).reshape(-1, 2).max(0) * 1.01
            ahead &= (np.abs(safe[:, 0, :2] / safe[:, 0, 2:]) <= edge).all(1)
        inside = ahead & (pixels >= -0.5).all(1) & (pixels < np.array(self.size[::-1]) - 0.5).all(1)
        return np.where(inside[:, None], pixels, np.nan)
