"""A subscriber in the place of a planner: records what a node publishes and calls the node's services."""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.logging import LoggingSeverity, set_logger_level

from vss_ros.errors import VssError
from vss_ros.live.recorder import Recorder
from vss_ros.recordings.bags import deserialise
from vss_ros.resources import large_image_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rclpy.context import Context
    from rclpy.node import Node

    from vss_ros.recordings.bags import BagWriter
    from vss_ros.recordings.playback import CameraTopic

DIAGNOSTICS = '/diagnostics'
PATIENCE = 60.0
"""Seconds without any progress after which waiting is given up; slow progress is no failure."""
READY = 300.0
"""Seconds for a node to become active, on a busy machine."""
DEALT_WITH = ('answered', 'overwritten', 'rejected', 'errors', 'waited_for_i_frame')
"""What can become of a received image, as the node's diagnostics count it."""


@contextmanager
def graph() -> Iterator[tuple[Context, SingleThreadedExecutor]]:
    """Join the graph in a context of its own, with the profile that large images need."""
    profile = large_image_environment(os.environ)
    os.environ.update(profile)  # read when the first node is made
    context = rclpy.Context()
    rclpy.init(context=context)
    set_logger_level('recorder', LoggingSeverity.WARN)  # a terminal with a progress bar is in use
    executor = SingleThreadedExecutor(context=context)
    try:
        yield context, executor
    finally:
        executor.shutdown()
        rclpy.try_shutdown(context=context)
        for name in profile:
            del os.environ[name]


class Observer:
    """Records a run of one node and knows whether the node has finished with every image.

    Args:
        context: From ``graph``.
        executor: From ``graph``.
        bag: Where everything goes.
        node: Full name of the node that is watched.
        camera: Its camera.
        headers_only: Record only the images' headers.
        more: Further topics to record.
        on_image: Called for each image that arrives.

    """

    def __init__(
        self,
        context: Context,
        executor: SingleThreadedExecutor,
        bag: BagWriter,
        *,
        node: str,
        camera: CameraTopic,
        headers_only: bool = True,
        more: Sequence[str] = (),
        on_image: Callable[[], object] | None = None,
    ) -> None:
        """Subscribe to the images at once, to everything else as it appears."""
        self._name, self._camera, self._on_image = node, camera.name, on_image
        self._needed = {f'{node}/mask', f'{node}/key_frame', DIAGNOSTICS}
        self.recorder = Recorder(
            [f'{camera.name}:{camera.msgtype}', *sorted(self._needed), *more],
            bag,
            headers_of=[camera.name] if headers_only else (),
            on_message=self._note,
            context=context,
        )
        self._executor = executor
        executor.add_node(self.recorder)
        self.counters: dict[str, int] = {}
        """Counts of the node's newest diagnostics, by name."""
        self._statuses = 0
        self._outputs: Counter[str] = Counter()

    def close(self) -> None:
        """Leave the graph; what has arrived by now is written before."""
        self.recorder.take_what_has_arrived(self._executor)
        self._executor.remove_node(self.recorder)
        self.recorder.destroy_node()

    def spin(self, seconds: float) -> None:
        """Take what arrives within some seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def _note(self, topic: str, data: bytes) -> None:
        if topic == self._camera:
            if self._on_image is not None:
                self._on_image()
        elif topic == DIAGNOSTICS:
            self._read(deserialise(data, 'diagnostic_msgs/msg/DiagnosticArray'))
        else:
            self._outputs[topic] += 1

    def _read(self, message: Any) -> None:
        for status in message.status:
            if status.name == f'{self._name.lstrip("/")}: segmentation':
                self.counters = {
                    pair.key: int(pair.value) for pair in status.values if pair.value.isdecimal()
                }
                self._statuses += 1

    def wait_until_ready(self, check: Callable[[], None]) -> None:
        """Wait until the node subscribes to the camera, and what it publishes arrives here.

        Args:
            check: Called while waiting; raises where that is of no use any more.

        Raises:
            VssError: It does not, or another process publishes the camera or has the node's name.
        """
        deadline = time.monotonic() + READY
        while self._needed & set(self.recorder.missing) or not (self._is_heard and self.counters):
            check()
            if time.monotonic() > deadline:
                raise VssError(self._what_is_missing())
            self.spin(0.1)
        where = _domain()
        if self.recorder.count_publishers(self._camera):
            raise VssError(
                f'expected nobody to publish {self._camera} {where}, got others; set ROS_DOMAIN_ID'
            )
        if self.recorder.count_publishers(f'{self._name}/mask') > 1:
            raise VssError(f'expected one node {self._name} {where}, got several; set ROS_DOMAIN_ID')

    @property
    def _is_heard(self) -> bool:
        """Whether the node subscribes to the camera."""
        listeners = self.recorder.get_subscriptions_info_by_topic(self._camera)
        return self._name in {f'{i.node_namespace.rstrip("/")}/{i.node_name}' for i in listeners}

    def _what_is_missing(self) -> str:
        missing = sorted(self._needed & set(self.recorder.missing))
        if missing:
            return f'expected {", ".join(missing)}, got none within {READY:.0f} s; is {self._name} active?'
        if not self._is_heard:
            return (
                f'expected {self._name} to subscribe to {self._camera}, got none within {READY:.0f} s; '
                f'start it with -r image_raw:=... and image_transport to fit'
            )
        return f'expected diagnostics of {self._name}, got none within {READY:.0f} s; shorten their period'

    def settle(self, check: Callable[[], None]) -> None:
        """Wait until the node has finished with all it received and nothing new comes.

        The wait goes on while there is progress, however slow the machine is.

        Args:
            check: Called while waiting; raises where that is of no use any more.
        """
        last: object = None
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            statuses = self._statuses
            while self._statuses == statuses and time.monotonic() < deadline:
                check()
                self.spin(0.1)
            now = (self.counters, dict(self._outputs))
            dealt = sum(self.counters.get(fate, 0) for fate in DEALT_WITH)
            if now == last and dealt >= self.counters.get('received', 0):
                return
            if now != last:
                deadline = time.monotonic() + PATIENCE
            last = now


def _domain() -> str:
    return f'in ROS domain {os.environ.get("ROS_DOMAIN_ID", "0")}'


def ask(node: Node, executor: SingleThreadedExecutor, kind: Any, name: str, request: Any) -> Any:
    """Call a service and return the response.

    Args:
        node: The caller.
        executor: That node's.
        kind: The service's class.
        name: Full name of the service.
        request: Of that class.

    Raises:
        VssError: There is no answer.
    """
    client = node.create_client(kind, name)
    try:
        deadline = time.monotonic() + PATIENCE
        while not client.service_is_ready() and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.1)
        future = client.call_async(request)
        while not future.done() and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.1)
        if not future.done():
            raise VssError(
                f'expected an answer from {name} {_domain()}, got none; is the node running there?'
            )
        return future.result()
    finally:
        node.destroy_client(client)
