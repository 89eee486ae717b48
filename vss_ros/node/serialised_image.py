"""A sensor_msgs/Image read where it was serialised: its pixels are viewed, which rclpy would copy twice."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

LITTLE_ENDIAN_CDR = b'\x00\x01'
"""How all middlewares serialise on the machines that this runs on; anything else rclpy reads."""
_START = 4
"""Alignment counts from after the four bytes that say how it is serialised."""


class ImageView(NamedTuple):
    """What sensor_msgs/Image has, by the same names."""

    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: memoryview
    """Within the serialised message."""


def image_of(serialised: bytes) -> ImageView | Any:
    """Return a serialised image as a view, or as rclpy's message where it is serialised otherwise.

    Raises:
        Exception: rclpy's, where it is no image.
    """
    view = _view(serialised) if serialised[:2] == LITTLE_ENDIAN_CDR else None
    return deserialize_message(serialised, Image) if view is None else view


def _view(serialised: bytes) -> ImageView | None:
    try:
        sec, nanosec = struct.unpack_from('<iI', serialised, _START)
        frame_id, place = _string(serialised, _START + 8)
        height, width = struct.unpack_from('<II', serialised, place := _aligned(place))
        encoding, place = _string(serialised, place + 8)
        is_bigendian = serialised[place]
        step, size = struct.unpack_from('<II', serialised, place := _aligned(place + 1))
    except (struct.error, IndexError, ValueError):
        return None
    data = memoryview(serialised)[place + 8 : place + 8 + size]
    if len(data) != size:
        return None
    header = Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id=frame_id)
    return ImageView(header, height, width, encoding, is_bigendian, step, data)


def _aligned(place: int) -> int:
    return place + -(place - _START) % 4


def _string(serialised: bytes, place: int) -> tuple[str, int]:
    """Return the string at a place and where it ends; raise a ValueError where it does not."""
    (size,) = struct.unpack_from('<I', serialised, place := _aligned(place))
    end = place + 4 + size
    if not size or end > len(serialised) or serialised[end - 1]:
        raise ValueError(f'expected a string of {size} bytes with its end')
    return serialised[place + 4 : end].partition(b'\0')[0].decode(errors='replace'), end
