"""A robot for the node under test: a camera, a planner and an operator, with the real node as a process.

What ``soak`` and ``faults`` share. The camera sends the embedded clip; the planner listens to the masks.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from vss_ros.live.observer import graph
from vss_ros.live.run import EXECUTABLES, START_SECONDS, Child, stay_apart
from vss_ros.msg import KeyFrameDecision
from vss_ros.node.conversions import ns_to_stamp, stamp_to_ns
from vss_ros.node.intake import TRANSPORTS
from vss_ros.node.shared_memory import Ports
from vss_ros.recordings.open import open_source
from vss_ros.resources import resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from rclpy.executors import SingleThreadedExecutor

EXECUTABLES['faulty_node'] = 'experiments.faulty_node'
FRAME_ID = 'camera_optical_frame'
RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
PATIENCE = 60.0
"""Seconds until the node counts as lost; a busy machine is no failure."""


def clip(count: int = 60) -> list[NDArray[np.uint8]]:
    """Return the first images of the embedded clip, RGB ``(360, 480, 3)``."""
    images: list[NDArray[np.uint8]] = []
    with open_source(resource('test', 'data', 'street')) as source:
        for frame, _ in source:
            images.append(frame.image.copy())
            if len(images) == count:
                break
    return images


def image_message(
    image: NDArray[np.uint8], stamp_ns: int, encoding: str = 'rgb8', frame_id: str = FRAME_ID
) -> Image:
    """Return an image message without padding."""
    height = image.shape[0]
    message = Image(height=height, width=image.shape[1], encoding=encoding, step=image.nbytes // height)
    message.header.stamp, message.header.frame_id = ns_to_stamp(stamp_ns), frame_id
    message.data = image.tobytes()
    return message


class LostError(AssertionError):
    """The node did not do what it has to; the message says what."""


class Robot(Node):
    """Camera, planner and operator in one node of this process, beside one segmentation node."""

    def __init__(self, node: Child, executor: SingleThreadedExecutor, transport: str = 'raw') -> None:
        super().__init__('robot', context=executor.context, start_parameter_services=False)
        self.node, self.images = node, clip()
        self.masks: deque[int] = deque(maxlen=1000)
        """Stamps of the masks that came, nanoseconds."""
        self.decisions: deque[Any] = deque(maxlen=1000)
        self.counters: dict[str, str] = {}
        """The newest status's values."""
        self.level, self.said = b'\0', ''
        self.sent: Counter[str] = Counter()
        self.key_frame_type = KeyFrameDecision
        self._executor = executor
        self._index = 0
        self._topic, self._kind = f'/{TRANSPORTS[transport].topic}', TRANSPORTS[transport].load()
        executor.add_node(self)
        self.create_subscription(Image, '/segmentation/mask', self._on_mask, 50)
        self.create_subscription(KeyFrameDecision, '/segmentation/key_frame', self._on_decision, 50)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        self._ports = Ports()  # the robot, too, may be taken for dead
        self.create_timer(1.0, lambda: self._ports.look(lambda *_: None))
        self.camera: Any = None
        self.plug_in()

    def _on_mask(self, mask: Image) -> None:
        self.masks.append(stamp_to_ns(mask.header.stamp))

    def _on_decision(self, decision: KeyFrameDecision) -> None:
        self.decisions.append(decision)

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        status = array.status[0]
        self.level, self.said = status.level, status.message
        self.counters = {pair.key: pair.value for pair in status.values}

    def count(self, counter: str) -> int:
        """Return a counter of the newest status, 0 where there is none."""
        return int(self.counters.get(counter, '0'))

    def plug_in(self, reliability: ReliabilityPolicy = RELIABLE, depth: int = 5) -> None:
        """Connect the camera, anew where it was connected."""
        self.unplug()
        self.camera = self.create_publisher(
            self._kind, self._topic, QoSProfile(depth=depth, reliability=reliability)
        )

    def unplug(self) -> None:
        """Take the camera away."""
        if self.camera is not None:
            self.destroy_publisher(self.camera)
            self.camera = None

    def spin(self, seconds: float = 0.0) -> None:
        """Take what arrives within some seconds; raises ``LostError`` where the node has ended."""
        end = time.monotonic() + seconds
        while True:
            self._executor.spin_once(timeout_sec=max(end - time.monotonic(), 0))
            if time.monotonic() >= end:
                break
        if self.node.poll() is not None:
            raise LostError(str(self.node.failure(f'ended with status {self.node.poll()}')))

    def wait(self, condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
        """Spin until a condition holds; raises ``LostError`` where it does not in time."""
        deadline = time.monotonic() + patience
        while not condition():
            if time.monotonic() > deadline:
                raise LostError(f'waited {patience:.0f} s in vain for {what}; status: {self.said}')
            self.spin(0.02)

    def next_image(self) -> NDArray[np.uint8]:
        """Return the clip's next image, forth and back without end."""
        last = len(self.images) - 1
        self._index = (self._index + 1) % (2 * last)
        return self.images[min(self._index, 2 * last - self._index)]

    def good(self) -> Any:
        """Return a good message of now."""
        message = image_message(self.next_image(), time.time_ns())
        if self._kind is CompressedImage:
            pixels = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
            data = cv2.imencode('.jpg', pixels[..., ::-1])[1].tobytes()
            message = CompressedImage(header=message.header, format='jpeg', data=data)
        return message

    def send(self, message: Any | None = None, kind: str = 'good') -> int:
        """Publish a message, by default a good image of now; returns its stamp in nanoseconds."""
        if message is None:
            message = self.good()
        self.camera.publish(message)
        self.sent[kind] += 1
        return stamp_to_ns(message.header.stamp) if hasattr(message, 'header') else 0

    def recovers(self, patience: float = PATIENCE) -> float:
        """Send good images until one that is sent now is answered; returns after how many seconds."""
        began, end = time.monotonic(), time.monotonic() + patience
        if self.camera is None:
            self.plug_in()
        sent: set[int] = set()
        while not sent & set(self.masks):  # by stamp: earlier ones may lie in the future
            if time.monotonic() > end:
                raise LostError(f'no good image was answered within {patience:.0f} s; status: {self.said}')
            sent.add(self.send())
            self.spin(1 / 15)
        return time.monotonic() - began

    def ask(self, kind: Any, name: str, patience: float = PATIENCE, **fields: Any) -> Any:
        """Call a service of the node."""
        client = self.create_client(kind, f'/segmentation/{name}')
        try:
            self.wait(client.service_is_ready, f'service {name}', patience)
            future = client.call_async(kind.Request(**fields))
            self.wait(future.done, f'an answer from {name}', patience)
            return future.result()
        finally:
            self.destroy_client(client)

    def set(self, **values: Any) -> list[bool]:
        """Set parameters of the node; returns which were taken."""
        given = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        return [
            result.successful
            for result in self.ask(SetParameters, 'set_parameters', parameters=given).results
        ]

    def change(self, transition: str) -> bool:
        """Ask for a transition, such as ``deactivate``; returns whether it was made."""
        number = getattr(Transition, f'TRANSITION_{transition.upper()}')
        return bool(self.ask(ChangeState, 'change_state', transition=Transition(id=number)).success)


@contextmanager
def robot(
    folder: Path, *words: str, executable: str = 'segmentation_node', transport: str = 'raw'
) -> Iterator[Robot]:
    """Start the node with parameters ``NAME:=VALUE`` and a robot around it; yield when it is active."""
    stay_apart()
    with started(folder, [*words, f'image_transport:={transport}'], executable) as node:
        node.wait_for('waiting for images', START_SECONDS)
        with graph() as executor:
            made = Robot(node, executor, transport)
            try:
                made.wait(made.camera.get_subscription_count, 'the node to subscribe')
                yield made
            finally:
                executor.remove_node(made)
                made.destroy_node()


def started(folder: Path, parameters: Sequence[str], executable: str = 'segmentation_node') -> Child:
    """Return the node as a process, started with parameters ``NAME:=VALUE``."""
    words = ['--ros-args', '--params-file', str(resource('config', 'segment.yaml'))]
    for pair in parameters:
        words += ['-p', pair]
    return Child(executable, words, folder)
