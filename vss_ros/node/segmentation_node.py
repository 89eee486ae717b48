"""The node: lifecycle, parameters and diagnostics around streams; ``stream`` has the way of an image."""

from __future__ import annotations

import gc
import platform
from typing import TYPE_CHECKING, Any, ClassVar

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from vss_ros.engine.build import Built, build_segmenter
from vss_ros.engine.option import camera_names
from vss_ros.engine.options import PARAMETERS, PER_CAMERA, parameter_fault
from vss_ros.engine.tracks.sharing import SharedNetwork
from vss_ros.errors import VssError
from vss_ros.images.classes import load_classes
from vss_ros.node.bond import form_bond
from vss_ros.node.camera import STEADY
from vss_ros.node.parameter_files import undeclared
from vss_ros.node.parameters import declare_camera, declare_parameters, read_parameters
from vss_ros.node.process import give_memory_back
from vss_ros.node.shared_memory import Ports
from vss_ros.node.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

FIXED = frozenset(name for name, option in PARAMETERS.items() if not option.live)
"""Parameters that can only be changed before the node is configured."""
WATCH_S = 1.0
"""Seconds between two looks at what may hang."""
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class SegmentationNode(LifecycleNode):
    """Segments the stream of one camera, or those of several by one network."""

    stream_type: ClassVar[type[Stream]] = Stream

    def __init__(self, **options: Any) -> None:
        super().__init__('segmentation', **options)
        declare_parameters(self)
        self._streams: list[Stream] = []
        self._follow_cameras()
        for fault in undeclared(self, other_than='qos_overrides.'):  # declared with their topics
            self.get_logger().warning(fault)
        self._built: Built | None = None
        self._ports = Ports()
        self._owned: list[Any] = []
        self._bond: Any = None
        self.exit_status: int | None = None  # with which the process is to end
        self.create_timer(WATCH_S, self._watch, clock=STEADY)
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
        self._stop_streams()
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
        self._stop_streams(wait_s)
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
        self._follow_cameras()
        self._config = read_parameters(self)
        wanted = self._config.segmenter
        self.get_logger().info(f'configuring: reads model {wanted.model}, finds the fastest runtime')
        self._built = built = build_segmenter(
            wanted, on_slow_track_error=self._streams[0].on_slow_track_error
        )
        card = built.card
        table = load_classes(card.classes)
        self.get_logger().info('configuring: compiles the network, segments first images of its own')
        built.segmenter.warm_up(card.input_size)
        shared = SharedNetwork(built, len(self._streams)) if self._config.cameras else None
        for stream in self._streams:
            config = read_parameters(self, stream.name)
            segmenter = built.segmenter
            if shared is not None:
                segmenter = shared.segmenter(config.segmenter, stream.on_slow_track_error)
            stream.configure(config, segmenter, table, shared)
        self._create_topics()
        # What is loaded by now stays: looking through it for garbage would stop both threads for 100 ms.
        gc.collect()
        gc.freeze()
        give_memory_back()
        self.get_logger().info(
            f'model {card.name} on {built.device}: {wanted.propagation}, '
            f'{wanted.scheduler}, {wanted.track}; {built.runtime.description} ({built.runtime.reason})'
        )
        for fault in built.runtime.faults:
            self.get_logger().warning(fault)

    def _follow_cameras(self) -> None:
        """Have a stream for each camera that the parameter names now."""
        known = {stream.name: stream for stream in self._streams}
        names = camera_names(self.get_parameter('cameras').value or ())
        for name in names:
            declare_camera(self, name)
        self._streams = [known.get(name) or self.stream_type(self, name) for name in names or ('',)]

    def _activate(self) -> None:
        if self._built is None:
            raise VssError('expected a configured node, got one whose activation failed; clean up, configure')
        for stream in self._streams:
            stream.activate()
        if self._config.bond:
            self._bond = form_bond(self)
        for fault in undeclared(self, 'qos_overrides.'):
            self.get_logger().warning(fault)
        topics = ', '.join(stream.camera.topic for stream in self._streams if stream.camera)
        self.get_logger().info(f'waiting for images on {topics}')

    # Parameters, diagnostics.

    def _on_parameters(self, parameters: list[Any]) -> SetParametersResult:
        """Accept live parameters at any time, the others before the node is configured."""
        streams = {stream.name: stream for stream in self._streams}
        values: dict[str, dict[str, Any]] = {name: {} for name in streams}
        for parameter in parameters:
            camera, _, name = parameter.name.rpartition('.')
            if name not in PARAMETERS or camera not in {'', *streams}:
                continue
            fault = parameter_fault(name, parameter.value)
            if not fault and parameter.value != self.get_parameter(parameter.name).value:
                fault = self._fixed(parameter.name, camera)
            if fault:
                return SetParametersResult(successful=False, reason=fault)
            if name not in FIXED and camera in values:
                values[camera][name] = parameter.value
        try:
            for camera, settings in values.items():
                if (segmenter := streams[camera].segmenter) is not None:
                    segmenter.parts.scheduler.adjust(**settings)
        except VssError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _fixed(self, full: str, camera: str) -> str:
        """Return why a parameter cannot be changed now, empty where it can."""
        name = full.rpartition('.')[2]
        if camera not in {stream.name for stream in self._streams} and name in PER_CAMERA:
            own = ', '.join(f'{stream.name}.{name}' for stream in self._streams)
            return f'{name} is of each camera: set {own}'
        if self._built is not None and name in FIXED:
            return f'{full} is fixed once the node is configured: cleanup, set, configure'
        return ''

    def _publish_diagnostics(self) -> None:
        if self._built is None:
            return
        runtime = self._built.runtime
        more = {'runtime': runtime.description, 'runtime_faults': '; '.join(runtime.faults)}
        hardware = f'{self._built.device} {platform.node()}'
        array = DiagnosticArray(status=[stream.status(hardware, more) for stream in self._streams])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)

    def _watch(self) -> None:
        if deaf := self._ports.look(self._streams[0].note):
            self.get_logger().fatal(f'{deaf}; the node ends, to be started anew')
            self.exit_status = 1
        for stream in self._streams:
            if stream.watch():
                self.exit_status = 1

    # What the transitions make and undo.

    def _create_topics(self) -> None:
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        timer = self.create_timer(self._config.diagnostics_period, self._publish_diagnostics, clock=STEADY)
        self._owned = [(self.destroy_publisher, self._diagnostics), (self.destroy_timer, timer)]

    def _stop_streams(self, wait_s: float | None = None) -> None:
        if self._bond is not None:
            self._bond.shutdown()
            self._bond = None
        for stream in self._streams:
            stream.stop(wait_s)

    def _release(self, wait_s: float | None = None) -> None:
        for destroy, thing in self._owned:
            destroy(thing)
        self._owned = []
        for stream in self._streams:
            stream.release(wait_s)
        if self._built is not None:
            self._built.segmenter.close(wait_s)
            self._built = None
            gc.unfreeze()
            gc.collect()
            give_memory_back()
