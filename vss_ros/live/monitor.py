"""Shows what segmentation nodes say of themselves on /diagnostics, a line a camera."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from vss_ros.command_line import printable
from vss_ros.node.process import StopRequest, start_ros

if TYPE_CHECKING:
    from collections.abc import Mapping

LEVELS = {b'\0': 'ok', b'\1': 'WARN', b'\2': 'ERROR', b'\3': 'STALE'}
COLUMNS = (
    ('in Hz', 'camera_hz', '.1f'),
    ('out Hz', 'rate_hz', '.1f'),
    ('p50 ms', 'latency_all_ms_p50', '.1f'),
    ('p99 ms', 'latency_all_ms_p99', '.1f'),
    ('age ms', 'age_ms_p95', '.0f'),
    ('key %', '', '.0f'),
    ('behind', 'overwritten', '.0f'),
    ('lost', 'lost', '.0f'),
    ('refused', 'rejected', '.0f'),
)
"""Head, key of a status and format."""
HEAD = f'{"camera":<24}' + ''.join(f'{head:>9}' for head, _, _ in COLUMNS) + '  status'
CLEAR = '\x1b[H\x1b[2J'
GONE_S = 5.0
"""Seconds after which a camera of which nothing is heard is said to be gone."""


def row(name: str, level: bytes, values: Mapping[str, str]) -> str:
    """Return one camera's line; ``values`` are those of its status."""
    figures = {key: float(values.get(key) or 'nan') for _, key, _ in COLUMNS}
    answered = float(values.get('answered', 0))
    figures[''] = 100 * float(values.get('key_frames', 0)) / answered if answered else float('nan')
    shown = ''.join(f'{format(figures[key], form):>9}' for _, key, form in COLUMNS)
    return f'{name.removesuffix(": segmentation")[:24]:<24}{shown}  {LEVELS.get(level, "?")}'


class Monitor(Node):
    """Keeps the newest status of each camera."""

    def __init__(self) -> None:
        super().__init__('vss_monitor', start_parameter_services=False)
        self._seen: dict[str, tuple[float, Any, dict[str, str]]] = {}
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 20)

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        for status in array.status:
            values = {pair.key: pair.value for pair in status.values}
            if {'camera_hz', 'key_frames'} <= values.keys():  # others use the topic, too
                self._seen[status.name] = time.monotonic(), status, values

    @property
    def cameras(self) -> dict[str, dict[str, str]]:
        """The values of each camera's newest status."""
        return {name: values for name, (_, _, values) in self._seen.items()}

    def text(self) -> str:
        """Return the table as it is now."""
        lines, said = [HEAD], []
        for name, (at, status, values) in sorted(self._seen.items()):
            quiet = time.monotonic() - at
            gone = f' (nothing for {quiet:.0f} s)' if quiet > GONE_S else ''
            lines.append(row(name, status.level, values) + gone)
            if status.level != b'\0':
                said.append(f'{name}: {status.message}')
        if not self._seen:
            lines.append('no segmentation node speaks on /diagnostics; is ROS_DOMAIN_ID the same?')
        return printable('\n'.join(lines + said))


def watch(period: float, count: int) -> tuple[int, dict[str, dict[str, str]]]:
    """Print the table every ``period`` seconds, ``count`` times or until a signal.

    Returns:
        The exit status (1 where no camera was seen) and each camera's last values, by its name.
    """
    stop = StopRequest()
    if not start_ros('vss monitor', []):
        return 1, {}
    node, shown = Monitor(), 0
    try:
        while not stop.requested and (shown < count or not count):
            end = time.monotonic() + period
            while time.monotonic() < end and not stop.requested:
                rclpy.spin_once(node, timeout_sec=min(0.25, max(end - time.monotonic(), 0)))
            sys.stdout.write((CLEAR if sys.stdout.isatty() else '') + node.text() + '\n')
            sys.stdout.flush()
            shown += 1
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0 if node.cameras else 1, node.cameras
