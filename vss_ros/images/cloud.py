"""Organised clouds of labelled points, one a pixel, from depth images or other clouds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from vss_ros.engine.labels import resize_labels
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vss_ros.images.pinhole import Pinhole

POINT = np.dtype(
    [('x', '<f4'), ('y', '<f4'), ('z', '<f4'), ('rgb', '<u4'), ('label', '<u4'), ('confidence', '<f4')]
)
"""Metres in the cloud's frame, NaN where nothing is known; rgb as PCL packs it into a float; label as in its
PointXYZRGBL; confidence 0 to 1."""
FORMATS = {7: 'f4', 8: 'f8'}
"""Of sensor_msgs/PointField: FLOAT32, FLOAT64."""


def depth_of(message: Any) -> NDArray[np.float32]:
    """Return a depth image's metres along the optical axis, ``(H, W)`` float32, NaN where there are none.

    Args:
        message: A sensor_msgs/Image: 16UC1 in millimetres or 32FC1 in metres (REP-118).

    Raises:
        VssError: It is no such image.
    """
    kinds = {'16UC1': 'u2', 'mono16': 'u2', '32FC1': 'f4'}
    if message.encoding not in kinds:
        raise VssError(f'expected a depth image of 16UC1 or 32FC1, got {message.encoding}; set depth_topic')
    kind = np.dtype(('>' if message.is_bigendian else '<') + kinds[message.encoding])
    height, width, step = message.height, message.width, message.step
    if not width or step < width * kind.itemsize or len(message.data) < height * step:
        raise VssError(
            f'expected {height} rows of {width} depths, got {len(message.data)} bytes; mend the driver'
        )
    rows = np.frombuffer(message.data, np.uint8)[: height * step].reshape(height, step)
    depth = rows[:, : width * kind.itemsize].copy().view(kind).astype(np.float32)
    if kind.kind == 'u':
        depth *= np.float32(1e-3)
    depth[~(np.isfinite(depth) & (depth > 0))] = np.nan
    return depth


def points_of(message: Any) -> NDArray[np.float32]:
    """Return an organised cloud's points, ``(H, W, 3)`` float32 metres in its frame.

    Raises:
        VssError: The sensor_msgs/PointCloud2 is not organised, or has no x, y and z.
    """
    fields = {field.name: field for field in message.fields}
    if not {'x', 'y', 'z'} <= fields.keys() or message.height < 2:
        raise VssError(
            f'expected an organised cloud with x, y and z, one point a pixel, got {message.width} x '
            f'{message.height} of {", ".join(fields)}; set depth_topic'
        )
    order = '>' if message.is_bigendian else '<'
    kind = np.dtype(
        {
            'names': ['x', 'y', 'z'],
            'formats': [order + FORMATS.get(fields[name].datatype, 'f4') for name in 'xyz'],
            'offsets': [fields[name].offset for name in 'xyz'],
            'itemsize': message.point_step,
        }
    )
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.row_step)
    points = rows[:, : message.width * message.point_step].copy().view(kind)
    return np.stack([points[name].astype(np.float32) for name in 'xyz'], -1)


def points_from_depth(
    depth: NDArray[np.float32], camera: Pinhole, rays: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the points ``(H, W, 3)`` in the optical frame that a depth image shows; metres.

    Args:
        depth: Metres along the optical axis, ``(h, w)``, of any size; the nearest one is taken.
        camera: Of the image that the points are for.
        rays: ``camera.rays()``.
    """
    if depth.shape != camera.size:
        depth = np.asarray(cv2.resize(depth, camera.size[::-1], interpolation=cv2.INTER_NEAREST), np.float32)
    points = np.empty((*camera.size, 3), np.float32)
    np.multiply(rays, depth[..., None], out=points[..., :2])
    points[..., 2] = depth
    return points


def fill_cloud(
    cloud: NDArray[np.void],
    points: NDArray[np.float32],
    image: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    confidence: NDArray[np.uint8] | None,
) -> None:
    """Write an organised cloud, row after row as the mask has them.

    Args:
        cloud: Written to: ``(H, W)`` of ``POINT``.
        points: ``(h, w, 3)`` metres, of any size.
        image: RGB, ``(H, W, 3)``.
        labels: Class ids ``(h, w)``, of any size.
        confidence: 0 to 255, ``(h, w)``; None: NaN is written.
    """
    size = (cloud.shape[0], cloud.shape[1])
    if points.shape[:2] != size:
        points = np.asarray(cv2.resize(points, size[::-1], interpolation=cv2.INTER_NEAREST), np.float32)
    for number, name in enumerate('xyz'):
        cloud[name] = points[..., number]
    bgra = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGRA), np.uint8)
    bgra[..., 3] = 0
    cloud['rgb'] = bgra.view('<u4')[..., 0]
    cloud['label'] = resize_labels(labels, size)
    if confidence is None:
        cloud['confidence'] = np.nan
    else:
        cloud['confidence'] = resize_labels(confidence, size) * np.float32(1 / 255)
