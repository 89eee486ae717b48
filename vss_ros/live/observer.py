"""A subscriber in the place of a planner: records what a node publishes and calls the node's services."""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
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
    from pathlib import Path

    from rclpy.node import Node

    from vss_ros.recordings.bags import BagWriter
    from vss_ros.recordings.playback import CameraTopic

NODE = '/segmentation'
"""The node's name where a run starts it."""
DIAGNOSTICS = '/diagnostics'
PATIENCE = 60.0
"""Seconds without any progress after which waiting is given up; slow progress is no failure."""
READY = 300.0
"""Seconds for a node to become active, on a busy machine."""
DEALT_WITH = ('answered', 'overwritten', 'rejected', 'errors', 'waited_for_i_frame')
"""What can become of a received image, as the node's diagnostics count it."""


@dataclass(frozen=True)
class LiveRun:
    """What is played, and to which node."""

    source: Path
    """A bag, video or folder of images."""
    camera: CameraTopic
    rate: float = 1.0
    """Speed, 1 being the recording's own."""
    fps: float = 15.0
    """Rate of an image folder."""
    namespace: str = ''
    """Of everything that is started here, such as ``/live_1``, to stay clear of other topics."""
    parameters: Sequence[str] = ()
    """``NAME:=VALUE`` for the node that is started."""
    attach: str = ''
    """Full name of a node that runs already; empty to start one."""
    only_camera: bool = True
    """Play the camera alone and record only its headers; else play and record everything."""
    salvage: bool = False
    """Play every complete message of a damaged bag."""
    more: Sequence[str] = ()
    """Further topics to record."""

    @property
    def node(self) -> str:
        """Full name of the node."""
        return self.attach or self.namespace + NODE

    @property
    def topic(self) -> str:
        """The camera's topic as it is played, namespace included."""
        return self.namespace + self.camera.name


@contextmanager
def graph() -> Iterator[SingleThreadedExecutor]:
    """Join the graph in a context of its own, with the profile that large images need; yields an executor."""
    profile = large_image_environment(os.environ)
    os.environ.update(profile)  # read when the first node is made
    context = rclpy.Context()
    rclpy.init(context=context)
    set_logger_level('recorder', LoggingSeverity.WARN)  # a terminal with a progress bar is in use
    executor = SingleThreadedExecutor(context=context)
    try:
        yield executor
    finally:
        executor.shutdown()
        rclpy.try_shutdown(context=context)
        for name in profile:
            del os.environ[name]


class Observer(Recorder):
    """Records a run and knows whether the node has finished with every image.

    It subscribes to the images at once, to everything else as it appears. The executor is that of ``graph``;
    ``check`` is called while waiting, and raises where that is of no use any more.
    """

    def __init__(
        self,
        run: LiveRun,
        bag: BagWriter,
        executor: SingleThreadedExecutor,
        *,
        check: Callable[[], object],
        on_image: Callable[[], object] | None = None,
    ) -> None:
        self._node, self._camera, self._check, self._on_image = run.node, run.topic, check, on_image
        self._needed = {f'{run.node}/mask', f'{run.node}/key_frame', DIAGNOSTICS}
        self.counters: dict[str, int] = {}
        """Counts of the node's newest diagnostics, by name."""
        self._statuses = 0
        self._outputs: Counter[str] = Counter()
        topics = [f'{run.topic}:{run.camera.msgtype}', *sorted(self._needed), *run.more]
        headers_of = [run.topic] if run.only_camera else ()
        super().__init__(topics, bag, headers_of=headers_of, context=executor.context)
        executor.add_node(self)

    def spin(self, seconds: float) -> None:
        """Take what arrives within some seconds, and check."""
        self._check()
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    def on_message(self, topic: str, data: bytes) -> None:
        """Count a message."""
        if topic == self._camera:
            if self._on_image is not None:
                self._on_image()
        elif topic != DIAGNOSTICS:
            self._outputs[topic] += 1
        else:
            for status in deserialise(data, 'diagnostic_msgs/msg/DiagnosticArray').status:
                if status.name == f'{self._node.lstrip("/")}: segmentation':
                    pairs = status.values
                    self.counters = {pair.key: int(pair.value) for pair in pairs if pair.value.isdecimal()}
                    self._statuses += 1

    def wait_until_ready(self) -> None:
        """Wait until the node subscribes to the camera, and what it publishes arrives here.

        Raises:
            VssError: It does not, or another process publishes the camera or has the node's name.
        """
        deadline = time.monotonic() + READY
        while fault := self._fault():
            if time.monotonic() > deadline:
                raise VssError(fault)
            self.spin(0.1)
        where = _domain()
        if self.count_publishers(self._camera):
            raise VssError(
                f'expected no other publisher of {self._camera} {where}, got one; set ROS_DOMAIN_ID'
            )
        if self.count_publishers(f'{self._node}/mask') > 1:
            raise VssError(f'expected one node {self._node} {where}, got several; set ROS_DOMAIN_ID')

    def _fault(self) -> str:
        """Return what is missing for the run to begin, with the remedy; empty where nothing is."""
        within = f' within {READY:.0f} s'
        if missing := ', '.join(sorted(self._needed & set(self.missing))):
            return f'expected {missing}, got none{within}; is {self._node} active?'
        listeners = self.get_subscriptions_info_by_topic(self._camera)
        if self._node not in {f'{i.node_namespace.rstrip("/")}/{i.node_name}' for i in listeners}:
            return (
                f'expected {self._node} to subscribe to {self._camera}, got none{within}; '
                f'start it with -r image_raw:=... and image_transport to fit'
            )
        if not self.counters:
            return f'expected diagnostics of {self._node}, got none{within}; shorten their period'
        return ''

    def settle(self) -> None:
        """Wait until the node has finished with all it received and nothing new comes.

        The wait goes on while there is progress, however slow the machine is.
        """
        last: object = None
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            statuses = self._statuses
            while self._statuses == statuses and time.monotonic() < deadline:
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


def ask(node: Node, kind: Any, name: str, **fields: Any) -> Any:
    """Call a service of a kind by its full name and return the response; ``node`` has an executor.

    Raises:
        VssError: There is no answer.
    """
    client = node.create_client(kind, name)
    try:
        if client.wait_for_service(PATIENCE):
            future = client.call_async(kind.Request(**fields))
            node.executor.spin_until_future_complete(future, PATIENCE)
            if future.done():
                return future.result()
        raise VssError(f'expected an answer from {name} {_domain()}, got none; is the node running there?')
    finally:
        node.destroy_client(client)
