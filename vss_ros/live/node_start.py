"""How long the node takes to its first mask, and what memory it then holds: with the default parameters.

Once as the first start on a machine, once as every later one, which finds what the first has kept.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from array import array
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from vss_ros.live.observer import graph
from vss_ros.live.run import START_SECONDS, Child, stay_apart
from vss_ros.live.still_camera import picture
from vss_ros.resources import resource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rclpy.executors import SingleThreadedExecutor

CAMERA = (360, 480)
RATE = 15.0
SETTLED = 30
"""Masks after which memory is looked at."""


@dataclass(frozen=True)
class NodeStart:
    """One start, with a camera and a subscriber to masks there before."""

    first: bool
    """Whether nothing was kept from an earlier start."""
    seconds: float
    """From the start of the process to the first mask at the subscriber."""
    cpu_s: float
    """CPU time of the process until then."""
    resident_mb: float
    """Memory after ``SETTLED`` masks."""
    private_mb: float
    """Of it what other processes do not share, such as another node on the machine."""


def measure_node_start(*, quick: bool = False, parameters: Sequence[str] = ()) -> list[NodeStart]:
    """Start a node twice on this machine.

    Args:
        quick: Once, with what this user's earlier starts have kept.
        parameters: Further ``NAME:=VALUE`` for the node.

    Raises:
        VssError: It ended, or no mask came for minutes.
    """
    stay_apart()
    words = ['--ros-args', '--params-file', str(resource('config', 'segment.yaml'))]
    for pair in parameters:
        words += ['-p', pair]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        executor = stack.enter_context(graph())
        both = _CameraAndPlanner(executor)
        stack.callback(both.destroy_node)
        cache = {} if quick else {'XDG_CACHE_HOME': f'{folder}/cache'}
        starts = (False,) if quick else (True, False)
        return [_start(both, words, Path(folder), cache, first=first) for first in starts]


def _start(
    both: _CameraAndPlanner, words: Sequence[str], folder: Path, cache: Mapping[str, str], *, first: bool
) -> NodeStart:
    both.masks = 0
    begin = time.perf_counter()
    with Child('segmentation_node', words, folder, cache) as node:
        both.wait_for(1, node)
        seconds, cpu = time.perf_counter() - begin, _cpu_s(node.pid)
        both.wait_for(SETTLED, node)
        resident, private = _memory_mb(node.pid)
        node.stop()
    return NodeStart(first, round(seconds, 2), round(cpu, 2), round(resident, 1), round(private, 1))


class _CameraAndPlanner(Node):
    """Publishes one picture for ever and counts masks."""

    def __init__(self, executor: SingleThreadedExecutor) -> None:
        super().__init__('camera_and_planner', context=executor.context, start_parameter_services=False)
        executor.add_node(self)
        self.masks = 0
        height, width = CAMERA
        self._image = Image(height=height, width=width, encoding='rgb8', step=3 * width)
        self._image.data = array('B', picture(height, width).tobytes())
        self._images = self.create_publisher(Image, '/image_raw', QoSProfile(depth=1))
        self.create_subscription(Image, '/segmentation/mask', self._count, 10, raw=True)
        self.create_timer(1 / RATE, self._publish)

    def _publish(self) -> None:
        self._image.header.stamp = self.get_clock().now().to_msg()
        self._images.publish(self._image)

    def _count(self, _: bytes) -> None:
        self.masks += 1

    def wait_for(self, masks: int, node: Child) -> None:
        """Publish until so many masks have come; raise a VssError where none will."""
        deadline = time.monotonic() + START_SECONDS
        while self.masks < masks:
            self.executor.spin_once(timeout_sec=0.1)
            node.check('before its masks came')
            if time.monotonic() > deadline:
                raise node.failure(f'published {self.masks} of {masks} masks in {START_SECONDS:.0f} s')


def _cpu_s(pid: int) -> float:
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def _memory_mb(pid: int) -> tuple[float, float]:
    """Return a process's memory and what of it is its own alone."""
    lines = Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines()[1:]
    sizes = {name: int(rest.split()[0]) / 1000 for name, _, rest in (line.partition(':') for line in lines)}
    return sizes['Rss'], sizes['Private_Clean'] + sizes['Private_Dirty']


def table(starts: Sequence[NodeStart]) -> str:
    """Return the figures as a Markdown table."""
    lines = ['start | to the first mask s | CPU s | memory MB | of it its own', '--- | --- | --- | --- | ---']
    for start in starts:
        name = 'first on this machine' if start.first else 'later'
        figures = (start.seconds, start.cpu_s, start.resident_mb, start.private_mb)
        lines.append(' | '.join([name, *(f'{figure:.{2 if figure < 100 else 0}f}' for figure in figures)]))
    return '\n'.join(f'| {line} |' for line in lines)


if __name__ == '__main__':
    sys.stdout.write(table(measure_node_start()) + '\n')
