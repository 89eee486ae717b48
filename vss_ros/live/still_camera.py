"""A camera that shows one picture for ever: publishes a raw image at a steady rate, for timing a node.

The message is serialised once; each is sent with the present as its stamp, so that the camera costs little.

Examples:
  python -m vss_ros.live.still_camera 720x960 --rate 15 --frames 100 --ros-args -r image_raw:=/front/image_raw
"""

from __future__ import annotations

import struct
import sys
import time
from array import array
from typing import TYPE_CHECKING

import cv2
import numpy as np
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from vss_ros.command_line import add, new_parser
from vss_ros.engine.option import parse_size
from vss_ros.node.process import run_process

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vss_ros.node.process import StopRequest

_STAMP = 4
"""Where the stamp begins in a serialised image, after four bytes that say how it is serialised."""
_MATCHED_NS = 4_000_000_000
"""A publisher that knows its subscriber may not be known to it yet: discovery repeats itself every 3 s.
What is sent until then is lost."""
_SETTLE_NS = 500_000_000


def picture(height: int, width: int) -> NDArray[np.uint8]:
    """Return an image of coloured blobs, ``(height, width, 3)``, the same at each call."""
    coarse = np.random.default_rng(0).integers(0, 255, (9, 12, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the camera; returns 0 also after SIGINT and SIGTERM."""
    return run_process('still_camera', arguments, _run)


def _run(arguments: Sequence[str], stop: StopRequest) -> None:
    parser = new_parser('still_camera', __doc__)
    add(parser, 'size HxW', 'of the images', type=parse_size)
    add(parser, '--rate', 'images a second', 15.0)
    add(parser, '--frames N', 'how many', 100)
    add(parser, '--frame-id ID', 'of the header', 'camera')
    add(parser, '--best-effort', 'publish so, not reliably')
    options = parser.parse_args(arguments)
    node = rclpy.create_node('still_camera', start_parameter_services=False)
    policy = ReliabilityPolicy.BEST_EFFORT if options.best_effort else ReliabilityPolicy.RELIABLE
    publisher = node.create_publisher(Image, 'image_raw', QoSProfile(depth=1, reliability=policy))
    height, width = options.size
    image = Image(height=height, width=width, encoding='rgb8', step=3 * width)
    image.header.frame_id = options.frame_id
    image.data = array('B', picture(height, width).tobytes())
    data = bytearray(serialize_message(image))
    while not publisher.get_subscription_count() and stop.sleep_until(time.monotonic_ns() + 10_000_000):
        pass
    due_ns = time.monotonic_ns() + _MATCHED_NS
    for index in range(options.frames):
        if not stop.sleep_until(due_ns):
            break
        if not index:
            sys.stdout.write('sends\n')
            sys.stdout.flush()
        struct.pack_into('<iI', data, _STAMP, *divmod(time.time_ns(), 10**9))
        publisher.publish(bytes(data))
        due_ns += round(1e9 / options.rate)
    stop.sleep_until(time.monotonic_ns() + _SETTLE_NS)  # shared memory goes with its process
    node.destroy_node()


if __name__ == '__main__':
    sys.exit(main())
