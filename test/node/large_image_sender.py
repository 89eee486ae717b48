"""Publish large images at a camera's rate, in a process of its own: see test_large_images.py."""

from __future__ import annotations

import sys
import time
from array import array

import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

HEIGHT, WIDTH, RATE = 1024, 2048, 25.0


def main() -> None:
    """Wait for the one subscriber, then publish as many images as the first argument says."""
    rclpy.init()
    node = rclpy.create_node('large_image_sender')
    kind = ReliabilityPolicy.RELIABLE if 'reliable' in sys.argv else ReliabilityPolicy.BEST_EFFORT
    qos = QoSProfile(depth=1, reliability=kind)
    publisher = node.create_publisher(Image, 'large_image', qos)
    deadline = time.monotonic() + 20
    while publisher.get_subscription_count() == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.5)  # the subscriber may match later on its side, on a busy machine much later
    message = Image(height=HEIGHT, width=WIDTH, encoding='rgb8', step=3 * WIDTH)
    message.data = array('B', bytes(HEIGHT * WIDTH * 3))
    due = time.monotonic()
    for index in range(int(sys.argv[1])):
        message.header.frame_id = str(index)
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)
        # A camera that was held up goes on at its pace; it does not catch up in a burst.
        due = max(due + 1 / RATE, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
    time.sleep(0.5)  # shared memory goes with its process: let the last image be read
    rclpy.shutdown()


if __name__ == '__main__':
    main()
