"""Messages of what is derived from a mask: clouds, the ground, the camera's geometry."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import numpy as np
from geometry_msgs.msg import Point32, Polygon
from nav_msgs.msg import OccupancyGrid
from sensor_msgs.msg import CameraInfo, PointCloud2, PointField

from vss_ros.images.cloud import POINT
from vss_ros.images.pinhole import Pinhole

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from std_msgs.msg import Header

    from vss_ros.images.ground import GroundView

DATATYPES = {'x': 7, 'y': 7, 'z': 7, 'rgb': 7, 'label': 6, 'confidence': 7}
"""Of sensor_msgs/PointField: FLOAT32, UINT32."""


class CloudMessage:
    """An organised cloud that is filled again and again; its memory is new only where the size is."""

    def __init__(self) -> None:
        fields = [
            PointField(name=name, offset=POINT.fields[name][1], datatype=datatype, count=1)  # type: ignore[index]
            for name, datatype in DATATYPES.items()
        ]
        self.message = PointCloud2(fields=fields, point_step=POINT.itemsize)
        self._points: NDArray[np.void] = np.empty((0, 0), POINT)

    def points(self, size: tuple[int, int]) -> NDArray[np.void]:
        """Return the message's points, to be written: ``(H, W)`` of ``POINT``, a view."""
        if self._points.shape != size:
            message = self.message
            message.height, message.width = size
            message.row_step = size[1] * POINT.itemsize
            message.data = array('B', bytes(size[0] * message.row_step))
            self._points = np.frombuffer(message.data, POINT).reshape(size)
        return self._points


def grid_message(cells: NDArray[np.int8], view: GroundView, header: Header) -> OccupancyGrid:
    """Return the cells of a ``GroundView`` as a map in the ground's frame."""
    grid = OccupancyGrid(header=header)
    grid.info.map_load_time = header.stamp
    grid.info.resolution = float(view.cell)
    grid.info.height, grid.info.width = cells.shape
    grid.info.origin.position.x, grid.info.origin.position.y = map(float, view.origin)
    grid.info.origin.orientation.w = 1.0
    grid.data = array('b', cells.tobytes())
    return grid


def polygons(outlines: Iterable[NDArray[np.float64]]) -> list[Polygon]:
    """Return outlines ``(N, 2)`` in metres as messages."""
    return [Polygon(points=[Point32(x=float(x), y=float(y)) for x, y in line]) for line in outlines]


def scaled_info(info: Any, size: tuple[int, int], header: Header) -> CameraInfo:
    """Return the CameraInfo of a mask: that of its image, brought to the mask's height and width.

    Raises:
        VssError: The camera is not calibrated.
    """
    raw, flat = (Pinhole.of(info, rectified=rectified) for rectified in (False, True))
    across = size[1] / flat.size[1]
    raw, flat = raw.scaled(size), flat.scaled(size)
    p = np.zeros((3, 4))
    p[:, :3], p[0, 3], p[1, 3] = flat.matrix, info.p[3] * across, info.p[7] * size[0] / flat.size[0]
    return CameraInfo(
        header=header, height=size[0], width=size[1], distortion_model=info.distortion_model, d=info.d,
        k=raw.matrix.reshape(-1), r=info.r, p=p.reshape(-1),
    )  # fmt: skip
