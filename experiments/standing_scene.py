"""What a standing robot's node costs, beside a moving one's: CPU time of the real node over real DDS.

The embedded clip is played to the default node, then one of its images for as long, with a camera's noise on
each. Writes CPU seconds per second of video of both, and their ratio.

Examples:
  python -m experiments.standing_scene
  python -m experiments.standing_scene --seconds 20 --source ../drive.mp4 --json standing.json
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from array import array
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from vss_ros.command_line import add, new_parser, run_program
from vss_ros.files import write_json
from vss_ros.live.observer import graph
from vss_ros.live.run import START_SECONDS, Child, stay_apart
from vss_ros.recordings.open import open_source
from vss_ros.resources import resource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from rclpy.executors import SingleThreadedExecutor

RATE = 15.0
NOISE = 2.0
"""Standard deviation of a camera's noise, grey levels."""
NOISY = 16
"""Different noisy images that take turns."""
SETTLE_S = 3.0


def cpu_seconds(pid: int) -> float:
    """Return what a process has computed so far, all its threads."""
    after_name = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf('SC_CLK_TCK')


def messages(images: Sequence[NDArray[np.uint8]]) -> list[Image]:
    """Return RGB images as messages without stamps."""
    made = []
    for image in images:
        height, width = image.shape[:2]
        message = Image(height=height, width=width, encoding='rgb8', step=3 * width)
        message.header.frame_id = 'camera'
        message.data = array('B', image.tobytes())
        made.append(message)
    return made


class Camera(Node):  # type: ignore[misc,unused-ignore]
    """Publishes images at ``RATE`` and counts the masks that come back."""

    def __init__(self, executor: SingleThreadedExecutor) -> None:
        super().__init__('camera', context=executor.context, start_parameter_services=False)
        executor.add_node(self)
        self._masks = 0
        self.create_subscription(Image, '/segmentation/mask', self._count, 10, raw=True)
        reliable = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
        self._publisher = self.create_publisher(Image, 'image_raw', reliable)

    def _count(self, _: bytes) -> None:
        self._masks += 1

    def play(self, images: Sequence[Image], seconds: float) -> float:
        """Publish images in turn for so long; return the share of them that was answered."""
        before, count, due = self._masks, round(seconds * RATE), time.monotonic()
        for index in range(count):
            message = images[index % len(images)]
            message.header.stamp = self.get_clock().now().to_msg()
            self._publisher.publish(message)
            due += 1 / RATE
            while (left := due - time.monotonic()) > 0:
                self.executor.spin_once(timeout_sec=left)
        return (self._masks - before) / count


def measure(moving: list[NDArray[np.uint8]], seconds: float) -> dict[str, float]:
    """Return CPU seconds per second of the node on a moving and a standing scene, and shares answered."""
    rng = np.random.default_rng(0)
    noise = (rng.normal(0, NOISE, moving[0].shape) for _ in range(NOISY))
    standing = [np.clip(moving[0] + each, 0, 255).astype(np.uint8) for each in noise]
    found: dict[str, float] = {}
    stay_apart()
    words = ['--ros-args', '--params-file', str(resource('config', 'segment.yaml'))]
    with (
        tempfile.TemporaryDirectory() as folder,
        graph() as executor,
        Child('segmentation_node', words, Path(folder)) as node,
    ):
        node.wait_for('waiting for images', START_SECONDS)
        camera = Camera(executor)
        for name, images in (('moving', messages(moving)), ('standing', messages(standing))):
            camera.play(images, SETTLE_S)
            start, busy = time.monotonic(), cpu_seconds(node.pid)
            found[f'{name}_answered'] = camera.play(images, seconds)
            found[name] = (cpu_seconds(node.pid) - busy) / (time.monotonic() - start)
        camera.destroy_node()
        node.stop()
    return found | {'ratio': found['standing'] / found['moving']}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures."""
    return run_program('standing_scene', lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    parser = new_parser('standing_scene', __doc__)
    add(parser, '--source PATH', 'what moves: bag, video or folder', Path('test/data/street'))
    add(parser, '--seconds', 'of each', 15.0)
    add(parser, '--json FILE', 'the figures', type=Path)
    options = parser.parse_args(arguments)
    with open_source(options.source) as source:
        images = [frame.image for frame, _ in source][: round(options.seconds * RATE)]
    found = measure(images, options.seconds)
    for name in ('moving', 'standing'):
        sys.stdout.write(
            f'{name:8}  {found[name]:.3f} CPU s/s, {found[f"{name}_answered"]:.0%} of the images answered\n'
        )
    sys.stdout.write(f'standing / moving: {found["ratio"]:.3f}\n')
    write_json(options.json, found)
    return 0


if __name__ == '__main__':
    sys.exit(main())
