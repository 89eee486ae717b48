"""One camera of a rig: plays a recording at a steady rate, and misbehaves on a signal.

SIGUSR1: it floods, ten times as many images; SIGUSR2: it sends rubbish; SIGHUP: it is good again. It writes
the stamps of the good images down, a line each.
"""

from __future__ import annotations

import random
import signal
import struct
import sys
import time
from array import array
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from vss_ros.command_line import add, new_parser
from vss_ros.node.process import run_process
from vss_ros.recordings.open import open_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vss_ros.node.process import StopRequest

HEIGHT, WIDTH = 360, 480
FLOOD = 10
STAMP = 4
"""Where the stamp begins in a serialised image."""
KINDS = {signal.SIGUSR1: 'flooded', signal.SIGUSR2: 'rubbish', signal.SIGHUP: 'good'}


def serialised(image: NDArray[np.uint8], **fields: object) -> bytearray:
    """Return an RGB image as a message, with some fields that contradict it."""
    message = Image(height=image.shape[0], width=image.shape[1], encoding='rgb8', step=3 * image.shape[1])
    message.header.frame_id = 'camera'
    message.data = array('B', image.tobytes())
    for name, value in fields.items():
        setattr(message, name, value)
    return bytearray(serialize_message(message))


def rubbish(image: NDArray[np.uint8], chance: random.Random) -> list[bytearray]:
    """Return messages that no camera sends, some whole images of ever other sizes among them."""
    bad = [
        serialised(image, step=7), serialised(image, encoding='rgb16'), serialised(image, height=0),
        serialised(image, width=2**31), serialised(image, data=array('B', b'x' * 1000)),
    ]  # fmt: skip
    cut = bytearray(chance.randbytes(5000))
    cut[:STAMP] = bad[0][:STAMP]
    sizes = [(chance.randrange(1, 400), chance.randrange(1, 600)) for _ in range(20)]
    others = [serialised(np.ascontiguousarray(cv2.resize(image, size[::-1]))) for size in sizes]
    return [cut, *bad, *others]


def _run(arguments: Sequence[str], stop: StopRequest) -> None:
    parser = new_parser('rig_camera', __doc__)
    add(parser, 'source SOURCE', 'recording')
    add(parser, '--first N', 'image to begin with', 0)
    add(parser, '--rate', 'images a second', 15.0)
    add(parser, '--sent FILE', 'where the stamps go', required=True)
    options = parser.parse_args(arguments)
    state = ['good']
    for number, name in KINDS.items():
        signal.signal(number, lambda *_, name=name: state.__setitem__(0, name))
    images: list[NDArray[np.uint8]] = []
    with open_source(options.source) as source:
        for frame, _ in source:
            images.append(np.asarray(cv2.resize(frame.image, (WIDTH, HEIGHT)), np.uint8))
            if len(images) == 60:
                break
    good, bad = [serialised(image) for image in images], rubbish(images[0], random.Random(options.first))
    node = rclpy.create_node('rig_camera', start_parameter_services=False)
    publisher = node.create_publisher(
        Image, 'image_raw', QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
    )
    sent = Path(options.sent).open('w', buffering=1)  # noqa: SIM115 (it may be killed)
    # Free-running cameras: each begins at a moment of its own.
    due_ns, index = time.monotonic_ns() + options.first * 5_000_000, options.first
    sys.stdout.write('sends\n')
    sys.stdout.flush()
    while stop.sleep_until(due_ns):
        index += 1
        kind = state[0]
        place = index % (2 * len(good) - 2)  # forth and back
        data = bad[index % len(bad)] if kind == 'rubbish' else good[min(place, 2 * len(good) - 2 - place)]
        stamp_ns = time.time_ns()
        struct.pack_into('<iI', data, STAMP, *divmod(stamp_ns, 10**9))
        publisher.publish(bytes(data))
        if kind == 'good':
            sent.write(f'{stamp_ns}\n')
        due_ns += round(1e9 / options.rate / (FLOOD if kind == 'flooded' else 1))
    sent.close()
    node.destroy_node()


if __name__ == '__main__':
    sys.exit(run_process('rig_camera', None, _run))
