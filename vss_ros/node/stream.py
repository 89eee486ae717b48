"""One camera's stream through the node: images in, masks and key-frame decisions out.

An image travels: (1) ``_on_message`` puts it into the worker's one-slot mailbox, beside the packets that wait
there if it is one of a video; in the worker's thread ``_segment`` (2) has it decoded by an intake, (3) runs
``StreamSegmenter.step`` and (4) publishes on the topics that have subscribers.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from std_srvs.srv import Trigger

from vss_ros.engine.tracks.turns import Share, Turns
from vss_ros.engine.tracks.worker import Worker
from vss_ros.images.image_error import ImageError
from vss_ros.node.camera import Camera
from vss_ros.node.conversions import header_of, stamp_to_ns
from vss_ros.node.diagnostics import Statistics
from vss_ros.node.intake import ImageIntake, Received, VideoIntake, camera_transport, merge
from vss_ros.node.outputs.outputs import Outputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from diagnostic_msgs.msg import DiagnosticStatus
    from rclpy.lifecycle import LifecycleNode

    from vss_ros.engine.options import NodeConfig
    from vss_ros.engine.pipeline import StreamSegmenter
    from vss_ros.engine.tracks.sharing import SharedNetwork
    from vss_ros.images.classes import ClassTable
    from vss_ros.node.intake import Intake

DECODING_S, COMPUTING_S, MOST_HANGS = 10.0, 120.0, 3
"""Seconds after which one image hangs (a new size is compiled first); how many decoders may, each of which
leaves a thread, until the process ends."""
RESIZING = 10
"""Of several cameras, one compiles for a new size at most one in so many seconds."""


class Stream:
    """One camera: its subscription and segmenter, its topics, and what is counted of it.

    It outlives configurations, so that counters go on.

    Args:
        node: Whose topics these are.
        name: Of one of several cameras, below which its topics are; empty: the only one.
    """

    def __init__(self, node: LifecycleNode, name: str = '') -> None:
        self.name = name
        self.statistics = Statistics()
        self.segmenter: StreamSegmenter | None = None
        """While configured."""
        self.camera: Any = None
        """A ``Camera`` while active."""
        self._node = node
        self._base = f'~/{name}' if name else '~'
        self._turns = Turns()
        self._share: Share | None = None
        self._shared: SharedNetwork | None = None
        self._waited_s = self._resized_until = 0.0
        self._worker: Worker[Received] | None = None
        self._frames = self._hangs = 0
        self._overwritten = 0  # by workers that have ended
        self._decoding = False
        self._services: list[Any] = []

    # What the transitions make and undo.

    def configure(
        self,
        config: NodeConfig,
        segmenter: StreamSegmenter,
        table: ClassTable,
        shared: SharedNetwork | None = None,
    ) -> None:
        """Create the topics and services.

        Args:
            config: The parameters as they are for this camera.
            segmenter: Of this stream alone.
            table: The classes that the network knows.
            shared: What it computes by, where other streams do, too.
        """
        self._config, self._shared = config, shared
        self._turns = Turns() if shared is None else shared.turns
        self._share = None if shared is None else shared.share(config.fast_duty)
        images = f'{self.name}/image_raw' if self.name else 'image_raw'
        self.outputs = Outputs(self._node, config, table, self.note, self._base, images)
        self._services = [
            self._node.create_service(Trigger, f'{self._base}/request_key_frame', self._on_request_key_frame),
            self._node.create_service(Trigger, f'{self._base}/reset', self._on_reset),
        ]
        self.segmenter = segmenter

    def activate(self) -> None:
        """Subscribe to the camera."""
        transport = camera_transport(self._node, self._config.image_transport, self.name)
        video = transport.is_video
        self._intake: Intake = VideoIntake(self._reject, self._on_wait) if video else ImageIntake()
        self._previous_stamp_ns: int | None = None
        self._frame_id: str | None = None
        self.statistics.activated(self._config)
        self._worker = Worker(self._handle, self._on_error, 'segmentation', merge if video else None)
        self.camera = Camera(self._node, transport, self._config.qos, self._on_message, self.note)

    def stop(self, wait_s: float | None = None) -> None:
        """Unsubscribe, finish the image in hand, forget the stream; wait for it, at most ``wait_s``."""
        if self.camera is not None:
            self.camera.close()
            self.camera = None
        if self._worker is None:
            return
        self._worker.stop(wait_s)
        self._overwritten += self._worker.overwritten
        self._worker = None
        if self.segmenter is not None:
            self.segmenter.request_reset()

    def release(self, wait_s: float | None = None) -> None:
        """Give the segmenter, the topics and the services back."""
        if self.segmenter is None:
            return
        self.outputs.close()
        for service in self._services:
            self._node.destroy_service(service)
        self.segmenter.close(wait_s)
        self.segmenter = None

    # The way of an image.

    def _on_message(self, message: Any, _: Mapping[str, Any], missing: bool) -> None:
        self.statistics.received()
        if self._worker is not None:
            self._worker.offer(Received((message,), time.perf_counter(), self._previous_stamp_ns, missing))
            self._previous_stamp_ns = stamp_to_ns(header_of(message).stamp)

    def _handle(self, received: Received) -> None:
        began, self._waited_s = time.perf_counter(), 0.0
        try:
            self._segment(received)
        finally:
            if self._share is not None:
                self._share.rest(time.perf_counter() - began - self._waited_s)

    def _segment(self, received: Received) -> None:
        segmenter = self.segmenter
        if segmenter is None:
            return
        intake, self._decoding = self._intake, True
        taken = intake.frame(received, self._frames)
        if intake is not self._intake:
            return  # it hung, and another has taken over
        self._decoding = False
        if taken is None:
            return
        frame, header = taken
        if header.frame_id != self._frame_id and self._frame_id is not None:
            segmenter.request_reset()  # another camera's image continues no stream
        self._frame_id = header.frame_id
        self._prepare((frame.image.shape[0], frame.image.shape[1]))
        decoded = time.perf_counter()
        with self._turns:
            self._waited_s = time.perf_counter() - decoded
            result = segmenter.step(frame, confidence=self.outputs.confident)
        self._frames += 1
        latency = self.outputs.answer(result, header, received.at)
        age = (self._node.get_clock().now().nanoseconds - frame.stamp_ns) / 1e9
        self.statistics.answered(result, latency, age)
        self.outputs.follow_up(frame, result, header)

    def _prepare(self, size: tuple[int, int]) -> None:
        """Have a new size compiled before the turn, where other streams would wait for that.

        Raises:
            ImageError: The camera had another one just before: it shall not compile all the time.
        """
        if self._shared is None or self._shared.knows(size):
            return
        began = time.monotonic()
        if began < self._resized_until:
            raise ImageError(
                'size',
                f'expected images of one size, got {size[1]}x{size[0]} soon after another new one; look '
                'at who publishes',
            )
        self._shared.prepare(size)
        now = time.monotonic()
        self._resized_until = now + RESIZING * (now - began)

    # What goes wrong.

    def _get_logger(self) -> Any:
        of_node = self._node.get_logger()
        return of_node.get_child(self.name) if self.name else of_node

    def watch(self) -> bool:
        """Leave a decoder that hangs to itself; return whether computing hangs: the process has to end."""
        if self.segmenter is not None:
            self.outputs.follow()
        worker = self._worker
        if worker is None or worker.busy_s < (DECODING_S if self._decoding else COMPUTING_S):
            return False
        said = f'{"decoding" if self._decoding else "computing"} takes {worker.busy_s:.0f} s and hangs'
        self._hangs += 1
        if self._decoding and self._hangs <= MOST_HANGS:
            self.note('hangs', 1, f'{said}; another decoder takes over')
            self.stop(wait_s=0)
            self.activate()
            return False
        self._get_logger().fatal(f'{said}; the node ends, to be started anew')
        return True

    def _on_error(self, received: Received, error: BaseException) -> None:
        if isinstance(error, ImageError):
            self._reject(error)
            return
        stamp = header_of(received.messages[-1]).stamp
        self.statistics.failed(error)
        self._get_logger().error(
            f'image {stamp.sec}.{stamp.nanosec:09d} was not segmented: {type(error).__name__}: {error}; '
            'going on with the next',
            throttle_duration_sec=1.0,
        )

    def on_slow_track_error(self, error: BaseException) -> None:
        """Say and remember what went wrong in the slow track."""
        self.statistics.slow_track_failed(error)
        self._get_logger().error(
            f'slow track: {type(error).__name__}: {error}; the fast track goes on', throttle_duration_sec=1.0
        )

    def _reject(self, error: ImageError) -> None:
        self.statistics.rejected(error)
        self._get_logger().warning(f'image rejected: {error}', throttle_duration_sec=1.0)

    def _on_wait(self, packets: int, first: bool) -> None:
        self.statistics.waited(packets)
        if first:
            self._get_logger().info("waiting for the video's next I-frame")

    def note(self, counter: str, number: int, said: str) -> None:
        """Count what is wrong with what comes in or goes out, and say it, each kind once in a while."""
        if self.statistics.noted(counter, number, said):
            self._get_logger().warning(said)

    # Services, diagnostics.

    def _on_request_key_frame(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._ask(response, 'request_key_frame', 'the next image will be a key frame')

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._ask(response, 'request_reset', 'the stream is forgotten before the next image')

    def _ask(self, response: Trigger.Response, method: str, done: str) -> Trigger.Response:
        response.success = self._worker is not None and self.segmenter is not None
        response.message = done if response.success else 'the node is not active; activate it first'
        if self.segmenter is not None and response.success:
            getattr(self.segmenter, method)()
        return response

    def status(self, hardware: str, more: Mapping[str, Any]) -> DiagnosticStatus:
        """Return the status of this moment; ``more`` is what the node knows of its computing."""
        segmenter, camera = self.segmenter, self.camera
        counts: dict[str, Any] = {
            'overwritten': self._overwritten + (self._worker.overwritten if self._worker else 0)
        }
        if segmenter is not None:
            counts['slow_track_errors'] = segmenter.slow_track_errors
            counts['late_results_dropped'] = segmenter.late_results_dropped
        name = f'{self._node.get_fully_qualified_name().lstrip("/")}: {self.name or "segmentation"}'
        said = None if camera is None else f'{camera.topic}: {camera.publishers}'
        return self.statistics.to_message(name, hardware, {**counts, **more}, said)
