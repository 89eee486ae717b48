"""Count large images, in a process that does nothing else: see test_large_images.py."""

from __future__ import annotations

import json
import sys
import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import Image

QUIET = 2.0


def main() -> None:
    """Count until nothing has come for a while after the last image; print a line of JSON.

    Arguments: the number of images to expect and the seconds to wait at most for the first one.
    """
    expected, patience = int(sys.argv[1]), float(sys.argv[2])
    rclpy.init()
    node = rclpy.create_node('large_image_receiver')
    latencies: dict[str, float] = {}
    last = time.monotonic() + patience

    def on_image(message: Image) -> None:
        nonlocal last
        last = time.monotonic()
        age = node.get_clock().now() - Time.from_msg(message.header.stamp)
        latencies[message.header.frame_id] = age.nanoseconds / 1e6

    qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    node.create_subscription(Image, 'large_image', on_image, qos)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while len(latencies) < expected and time.monotonic() < last + QUIET:
        executor.spin_once(timeout_sec=0.1)
    ordered = sorted(latencies.values())
    median = round(ordered[len(ordered) // 2], 1) if ordered else None
    missing = sorted(set(range(expected)) - set(map(int, latencies)))
    print(json.dumps({'received': len(latencies), 'p50_ms': median, 'missing': missing}), flush=True)
    rclpy.shutdown()


if __name__ == '__main__':
    main()
