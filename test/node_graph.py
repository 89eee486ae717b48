"""A real node and a client on a real DDS, in one process, with the embedded clip's images."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

from vss_ros.msg import KeyFrameDecision
from vss_ros.node.conversions import ns_to_stamp, stamp_to_ns
from vss_ros.node.intake import TRANSPORTS
from vss_ros.node.segmentation_node import SegmentationNode

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

PATIENCE = 30.0
"""Seconds a test waits before it fails; a busy machine is no failure."""


def image_message(image: NDArray[np.uint8], stamp_ns: int, encoding: str = 'rgb8', padding: int = 0) -> Image:
    """Return an image message whose rows carry ``padding`` extra bytes."""
    rows = image.reshape(image.shape[0], -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    message = Image(height=image.shape[0], width=image.shape[1], encoding=encoding, step=padded.shape[1])
    message.header.stamp = ns_to_stamp(stamp_ns)
    message.header.frame_id = 'camera_optical_frame'
    message.data = padded.tobytes()
    return message


class Graph:
    """One segmentation node and one client, spinning in a thread until ``close``."""

    def __init__(
        self, *, outputs: tuple[str, ...] = ('mask', 'key_frame'), start: bool = True, **parameters: Any
    ) -> None:
        """Start both; ``outputs`` are subscribed to, of several cameras each as ``front/mask``."""
        rclpy.init()
        # PyTorch needs no compiling, which would take most of a test's time.
        plain = {'diagnostics_period': 0.05, 'runtime': 'torch', 'precision': 'f32'}
        overrides = [Parameter(name, value=value) for name, value in (plain | parameters).items()]
        self.node = SegmentationNode(parameter_overrides=overrides)
        self.stream = self.node._streams[0]
        names = [stream.name for stream in self.node._streams]
        self.client = Node('client')
        self.received: dict[str, list[Any]] = defaultdict(list)
        kinds = {'mask': Image, 'confidence': Image, 'overlay': Image, 'key_frame': KeyFrameDecision}
        for name in (f'{camera}/{output}'.lstrip('/') for camera in names for output in outputs):
            kind, heard = kinds[name.rpartition('/')[2]], self.received[name].append
            self.client.create_subscription(kind, f'/segmentation/{name}', heard, 50)
        self.client.create_subscription(
            DiagnosticArray, '/diagnostics', self.received['diagnostics'].append, 10
        )
        reliable = QoSProfile(depth=30, reliability=ReliabilityPolicy.RELIABLE)
        transport = TRANSPORTS[parameters.get('image_transport', 'raw')]
        self.cameras = {
            name: self.client.create_publisher(
                transport.load(), f'/{name}/{transport.topic}'.replace('//', '/'), reliable
            )
            for name in names
        }
        self.camera = self.cameras[names[0]]
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._executor.add_node(self.client)
        self._stop = threading.Event()
        self._stamp_ns = 100 * 10**9
        if start:
            assert self.node.trigger_configure().name == 'SUCCESS'
            assert self.node.trigger_activate().name == 'SUCCESS'
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()
        if start:
            counts = [camera.get_subscription_count for camera in self.cameras.values()]
            try:
                self.wait(lambda: all(count() == 1 for count in counts), 'the node to subscribe')
            except AssertionError:
                self.close()  # or all tests after it would fail, too
                raise
            time.sleep(0.3)  # the other direction of discovery has no counter

    def _spin(self) -> None:
        while not self._stop.is_set():
            self._executor.spin_once(timeout_sec=0.05)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition; fails with the diagnostics after ``PATIENCE``."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f'waited in vain for {what}; diagnostics: {self.diagnostics}'
            time.sleep(0.005)

    def next_stamp(self) -> int:
        """Return a stamp one frame after the last one this returned, nanoseconds."""
        self._stamp_ns += 66_666_667
        return self._stamp_ns

    def wait_for_rejections(self, number: int) -> None:
        """Wait until exactly that many images were refused."""
        self.wait(lambda: self.stream.statistics._rejected.total() == number, f'rejection {number}')

    @property
    def diagnostics(self) -> dict[str, str]:
        """The node's last status."""
        if not self.received['diagnostics']:
            return {}
        return self.diagnostics_of(0)

    def diagnostics_of(self, number: int) -> dict[str, str]:
        """The last status of one of several cameras."""
        status = self.received['diagnostics'][-1].status[number]
        return {pair.key: pair.value for pair in status.values}

    def count(self, key: str) -> int:
        """Return a counter of the last status, 0 before the first."""
        return int(self.diagnostics.get(key, '0'))

    @property
    def dealt_with(self) -> int:
        """Messages that have met their fate, by the last status."""
        return sum(map(self.count, ('answered', 'rejected', 'errors', 'waited_for_i_frame')))

    def send(self, message: Image | CompressedImage) -> None:
        """Publish one image and wait until the node has dealt with it, one way or another."""
        before = self.dealt_with
        self.camera.publish(message)
        self.wait(lambda: self.dealt_with > before, 'an image to be answered or rejected')

    def call(self, service: str) -> Trigger.Response:
        """Call one of the node's services."""
        client = self.client.create_client(Trigger, f'/segmentation/{service}')
        assert client.wait_for_service(timeout_sec=PATIENCE)
        future = client.call_async(Trigger.Request())
        self.wait(future.done, service)
        return future.result()

    def stamps(self, output: str) -> list[int]:
        """Return the stamps of what came on an output, nanoseconds."""
        return [stamp_to_ns(message.header.stamp) for message in self.received[output]]

    def close(self) -> None:
        """Stop both nodes."""
        self._stop.set()
        self._thread.join()
        self.node.stop()
        for node in (self.node, self.client):
            self._executor.remove_node(node)
            node.destroy_node()
        self._executor.shutdown()
        rclpy.try_shutdown()
