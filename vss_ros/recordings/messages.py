"""Camera messages from arrays, made with rosbags' types so that no ROS installation is needed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
import simplejpeg

from vss_ros.errors import VssError
from vss_ros.recordings.bags import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, message_types

if TYPE_CHECKING:
    from numpy.typing import NDArray


def header(stamp_ns: int, frame_id: str) -> Any:
    """Make a std_msgs/Header; the stamp is in nanoseconds and not negative."""
    types = message_types().types
    seconds, nanoseconds = divmod(stamp_ns, 10**9)
    if not 0 <= seconds < 2**31:
        raise VssError(
            f'expected a stamp of 0 to {2**31 - 1} s, as ROS has them, got {seconds} s; mend the input'
        )
    stamp = types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds)
    return types['std_msgs/msg/Header'](stamp=stamp, frame_id=frame_id)


def stamp_ns(message: Any) -> int:
    """Return a camera message's stamp in nanoseconds; foxglove_msgs have it without a header."""
    stamp = message.header.stamp if hasattr(message, 'header') else message.timestamp
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def raw_image(pixels: NDArray[np.uint8], stamp_ns: int, frame_id: str = 'camera') -> Any:
    """Make a sensor_msgs/Image, rgb8 of pixels ``(H, W, 3)`` or mono8 of class ids ``(H, W)``."""
    height, width = pixels.shape[:2]
    return message_types().types[IMAGE](
        header=header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding='rgb8' if pixels.ndim == 3 else 'mono8',
        is_bigendian=0,
        step=width * (3 if pixels.ndim == 3 else 1),
        data=np.ascontiguousarray(pixels).reshape(-1),
    )


def compressed_image(
    pixels: NDArray[np.uint8],
    stamp_ns: int,
    frame_id: str = 'camera',
    *,
    codec: Literal['jpeg', 'png'] = 'jpeg',
    quality: int = 90,
) -> Any:
    """Make a sensor_msgs/CompressedImage of RGB ``(H, W, 3)``, or class ids ``(H, W)``, for which take PNG.

    JPEG's quality is 1 to 100.
    """
    if codec == 'jpeg':
        image = np.ascontiguousarray(pixels if pixels.ndim == 3 else pixels[..., None])
        data = simplejpeg.encode_jpeg(
            image, quality=quality, colorspace='RGB' if pixels.ndim == 3 else 'GRAY', colorsubsampling='420'
        )
    else:
        bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
        data = cv2.imencode('.png', bgr)[1].tobytes()
    return video_packet(data, codec, stamp_ns, frame_id)


def video_packet(data: bytes, format_name: str, stamp_ns: int, frame_id: str = 'camera') -> Any:
    """Make a sensor_msgs/CompressedImage of a video's packet, in the format ``mpeg4`` or ``h264``."""
    return message_types().types[COMPRESSED_IMAGE](
        header=header(stamp_ns, frame_id), format=format_name, data=np.frombuffer(data, np.uint8)
    )


def camera_info(size: tuple[int, int], stamp_ns: int, frame_id: str = 'camera', *, fov: float = 60.0) -> Any:
    """Make a sensor_msgs/CameraInfo of an undistorted pinhole camera of a height and width in pixels.

    Its horizontal field of view ``fov`` is in degrees, above 0 and below 180.
    """
    height, width = size
    focal = width / 2 / math.tan(math.radians(fov) / 2)
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    types = message_types().types
    whole_image = types['sensor_msgs/msg/RegionOfInterest'](
        x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    return types[CAMERA_INFO](
        header=header(stamp_ns, frame_id),
        height=height,
        width=width,
        distortion_model='plumb_bob',
        d=np.zeros(5),
        k=np.array([focal, 0, centre_x, 0, focal, centre_y, 0, 0, 1.0]),
        r=np.eye(3).reshape(-1),
        p=np.array([focal, 0, centre_x, 0, 0, focal, centre_y, 0, 0, 0, 1.0, 0]),
        binning_x=0,
        binning_y=0,
        roi=whole_image,
    )
