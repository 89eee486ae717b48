"""The node: images in, masks and key-frame decisions out. Wiring only; the engine does the work.

An image travels: (1) ``_on_message`` puts it into the worker's one-slot mailbox, beside the packets that wait
there if it is one of a video; in the worker's thread ``_segment`` (2) has it decoded by an intake, (3) runs
``StreamSegmenter.step`` and (4) publishes on the topics that have subscribers.
"""

from __future__ import annotations

import gc
import platform
import time
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_srvs.srv import Trigger

from vss_ros.engine.build import Built, build_segmenter
from vss_ros.engine.options import PARAMETERS, parameter_fault
from vss_ros.engine.options import parameters as parameters_of
from vss_ros.engine.worker import Worker
from vss_ros.errors import VssError
from vss_ros.images.classes import load_classes
from vss_ros.images.image_error import ImageError
from vss_ros.node.bond import form_bond
from vss_ros.node.camera import STEADY, Camera
from vss_ros.node.conversions import header_of, stamp_to_ns
from vss_ros.node.diagnostics import Statistics
from vss_ros.node.intake import ImageIntake, Received, VideoIntake, camera_transport, merge
from vss_ros.node.outputs.outputs import Outputs
from vss_ros.node.parameter_files import undeclared
from vss_ros.node.parameters import declare_parameters, read_parameters
from vss_ros.node.process import give_memory_back

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vss_ros.node.intake import Intake

FIXED = frozenset(name for name, option in PARAMETERS.items() if not option.live)
"""Parameters that can only be changed before the node is configured."""
WATCH_S, DECODING_S, COMPUTING_S, MOST_HANGS = 1.0, 10.0, 120.0, 3
"""Seconds between two looks at the worker, and after which one image hangs (a new size is compiled first);
how many decoders may, each of which leaves a thread, until the process ends."""
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class SegmentationNode(LifecycleNode):
    """Segments one camera stream."""

    def __init__(self, **options: Any) -> None:
        super().__init__('segmentation', **options)
        declare_parameters(self)
        for fault in undeclared(self, other_than='qos_overrides.'):  # declared with their topics
            self.get_logger().warning(fault)
        self._built: Built | None = None
        self._worker: Worker[Received] | None = None
        self._camera: Any = None  # a Camera while active
        self._statistics = Statistics()
        self._frames = self._hangs = 0
        self._overwritten = 0  # by workers that have ended
        self._owned: list[Any] = []
        self._bond: Any = None
        self._decoding = False
        self.exit_status: int | None = None  # with which the process is to end
        self.add_on_set_parameters_callback(self._on_parameters)

    # Lifecycle. rclpy swallows what these callbacks raise, so each reports its own failure.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and create the topics; FAILURE leaves the node unconfigured, the log says why."""
        return super().on_configure(state) if self._transition('configure', self._configure) else FAILURE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the camera; FAILURE leaves the node inactive."""
        result = super().on_activate(state)
        return result if self._transition('activate', self._activate) else FAILURE

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, finish the image in hand, forget the stream."""
        self._stop_stream()
        give_memory_back()  # the worker's own, which the next one's would come beside
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give the model and the topics back."""
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop, from any state, and let the process end."""
        self.stop()
        self.exit_status = 0
        return super().on_shutdown(state)

    def stop(self, wait_s: float | None = None) -> None:
        """Stop without a transition, as a signal asks for; wait for what is in hand, at most ``wait_s``."""
        self._stop_stream(wait_s)
        self._release(wait_s)

    def _transition(self, name: str, work: Callable[[], None]) -> bool:
        try:
            work()
        except Exception as error:  # noqa: BLE001 (also out of memory or a driver's own: all are logged)
            kind = '' if isinstance(error, VssError) else f'{type(error).__name__}: '
            self.get_logger().error(f'cannot {name}: {kind}{error}')
            self.stop()
            return False
        return True

    def _configure(self) -> None:
        self._config = read_parameters(self)
        wanted = self._config.segmenter
        self.get_logger().info(f'configuring: reads model {wanted.model}, finds the fastest runtime')
        self._built = build_segmenter(wanted, on_slow_track_error=self._on_slow_track_error)
        self.get_logger().info('configuring: compiles the network, segments first images of its own')
        self._built.segmenter.warm_up(self._built.card.input_size)
        self._create_topics(self._built)
        # What is loaded by now stays: looking through it for garbage would stop both threads for 100 ms.
        gc.collect()
        gc.freeze()
        give_memory_back()
        self.get_logger().info(
            f'model {self._built.card.name} on {self._built.device}: {wanted.propagation}, '
            f'{wanted.scheduler}, {wanted.track}; {self._built.runtime.description} '
            f'({self._built.runtime.reason})'
        )
        for fault in self._built.runtime.faults:
            self.get_logger().warning(fault)

    def _activate(self) -> None:
        if self._built is None:
            raise VssError('expected a configured node, got one whose activation failed; clean up, configure')
        transport = camera_transport(self, self._config.image_transport)
        video = transport.is_video
        self._intake: Intake = VideoIntake(self._reject, self._on_wait) if video else ImageIntake()
        self._previous_stamp_ns: int | None = None
        self._frame_id: str | None = None
        self._statistics.activated(self._config)
        self._worker = Worker(self._segment, self._on_error, 'segmentation', merge if video else None)
        self._camera = Camera(self, transport, self._config.qos, self._on_message, self._note)
        if self._config.bond:
            self._bond = form_bond(self)
        for fault in undeclared(self, 'qos_overrides.'):
            self.get_logger().warning(fault)
        self.get_logger().info(f'waiting for images on {self._camera.topic}')

    # The way of an image.

    def _on_message(self, message: Any, _: Mapping[str, Any], missing: bool) -> None:
        self._statistics.received()
        if self._worker is not None:
            self._worker.offer(Received((message,), time.perf_counter(), self._previous_stamp_ns, missing))
            self._previous_stamp_ns = stamp_to_ns(header_of(message).stamp)

    def _segment(self, received: Received) -> None:
        built = self._built
        if built is None:
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
            built.segmenter.request_reset()  # another camera's image continues no stream
        self._frame_id = header.frame_id
        result = built.segmenter.step(frame, confidence=self._outputs.confident)
        self._frames += 1
        latency = self._outputs.answer(result, header, received.at)
        age = (self.get_clock().now().nanoseconds - frame.stamp_ns) / 1e9
        self._statistics.answered(result, latency, age)
        self._outputs.follow_up(frame, result, header)

    def _watch(self) -> None:
        """Leave a decoder that hangs to itself; where the computation hangs, let the process end."""
        worker = self._worker
        if worker is None or worker.busy_s < (DECODING_S if self._decoding else COMPUTING_S):
            return
        said = f'{"decoding" if self._decoding else "computing"} takes {worker.busy_s:.0f} s and hangs'
        self._hangs += 1
        if self._decoding and self._hangs <= MOST_HANGS:
            self._note('hangs', 1, f'{said}; another decoder takes over')
            self._stop_stream(wait_s=0)
            self._activate()
        else:
            self.get_logger().fatal(f'{said}; the node ends, to be started anew')
            self.exit_status = 1

    def _on_error(self, received: Received, error: BaseException) -> None:
        if isinstance(error, ImageError):
            self._reject(error)
            return
        stamp = header_of(received.messages[-1]).stamp
        self._statistics.failed(error)
        self.get_logger().error(
            f'image {stamp.sec}.{stamp.nanosec:09d} was not segmented: {type(error).__name__}: {error}; '
            'going on with the next',
            throttle_duration_sec=1.0,
        )

    def _reject(self, error: ImageError) -> None:
        self._statistics.rejected(error)
        self.get_logger().warning(f'image rejected: {error}', throttle_duration_sec=1.0)

    def _on_wait(self, packets: int, first: bool) -> None:
        self._statistics.waited(packets)
        if first:
            self.get_logger().info("waiting for the video's next I-frame")

    def _note(self, counter: str, number: int, said: str) -> None:
        """Count what is wrong with what comes in or goes out, and say it, each kind once in a while."""
        if self._statistics.noted(counter, number, said):
            self.get_logger().warning(said)

    def _on_slow_track_error(self, error: BaseException) -> None:
        self._statistics.slow_track_failed(error)
        self.get_logger().error(
            f'slow track: {type(error).__name__}: {error}; the fast track goes on', throttle_duration_sec=1.0
        )

    # Services, parameters, diagnostics.

    def _on_request_key_frame(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._ask(response, 'request_key_frame', 'the next image will be a key frame')

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._ask(response, 'request_reset', 'the stream is forgotten before the next image')

    def _ask(self, response: Trigger.Response, method: str, done: str) -> Trigger.Response:
        response.success = self._worker is not None and self._built is not None
        response.message = done if response.success else 'the node is not active; activate it first'
        if self._built is not None and response.success:
            getattr(self._built.segmenter, method)()
        return response

    def _on_parameters(self, parameters: list[Any]) -> SetParametersResult:
        """Accept live parameters at any time, the others before the node is configured."""
        for parameter in parameters:
            fault = parameter_fault(parameter.name, parameter.value)
            fixed = self._built is not None and parameter.name in FIXED
            if not fault and fixed and parameter.value != parameters_of(self._config)[parameter.name]:
                fault = f'{parameter.name} is fixed once the node is configured: cleanup, set, configure'
            if fault:
                return SetParametersResult(successful=False, reason=fault)
        if self._built is not None:
            values = {p.name: p.value for p in parameters if p.name in PARAMETERS.keys() - FIXED}
            try:
                self._built.segmenter.parts.scheduler.adjust(**values)
            except VssError as error:
                return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _publish_diagnostics(self) -> None:
        if self._built is None:
            return
        segmenter = self._built.segmenter
        more = {
            'overwritten': self._overwritten + (self._worker.overwritten if self._worker else 0),
            'slow_track_errors': segmenter.slow_track_errors,
            'late_results_dropped': segmenter.late_results_dropped,
            'runtime': self._built.runtime.description,
            'runtime_faults': '; '.join(self._built.runtime.faults),
        }
        camera = self._camera
        name = f'{self.get_fully_qualified_name().lstrip("/")}: segmentation'
        status = self._statistics.to_message(
            name,
            f'{self._built.device} {platform.node()}',
            more,
            None if camera is None else f'{camera.topic}: {camera.publishers}',
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)

    # What the transitions make and undo.

    def _create_topics(self, built: Built) -> None:
        self._outputs = Outputs(self, self._config, load_classes(built.card.classes), self._note)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        services = (
            self.create_service(Trigger, '~/request_key_frame', self._on_request_key_frame),
            self.create_service(Trigger, '~/reset', self._on_reset),
        )
        timers = (
            self.create_timer(self._config.diagnostics_period, self._publish_diagnostics, clock=STEADY),
            self.create_timer(WATCH_S, self._watch, clock=STEADY),
        )
        self._owned = [
            (Outputs.close, self._outputs),
            (self.destroy_publisher, self._diagnostics),
            *((self.destroy_service, service) for service in services),
            *((self.destroy_timer, timer) for timer in timers),
        ]

    def _stop_stream(self, wait_s: float | None = None) -> None:
        if self._bond is not None:
            self._bond.shutdown()
            self._bond = None
        if self._camera is not None:
            self._camera.close()
            self._camera = None
        if self._worker is None:
            return
        self._worker.stop(wait_s)
        self._overwritten += self._worker.overwritten
        self._worker = None
        if self._built is not None:
            self._built.segmenter.request_reset()

    def _release(self, wait_s: float | None = None) -> None:
        for destroy, thing in self._owned:
            destroy(thing)
        self._owned = []
        if self._built is not None:
            self._built.segmenter.close(wait_s)
            self._built = None
            gc.unfreeze()
            gc.collect()
            give_memory_back()
