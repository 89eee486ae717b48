"""Every node parameter, once: name, default, bounds, description."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from math import isnan, nan
from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

from vss_ros.engine.build import SegmenterConfig, parse_size
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from rclpy.node import Node


def _parameter(
    default: Any,
    text: str,
    *,
    bounds: tuple[float, float] | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> Any:
    metadata = {'text': text, 'bounds': bounds, 'choices': choices, 'live': live}
    return field(default=default, metadata=metadata)


SHARED = (
    'model', 'propagation', 'scheduler', 'min_interval', 'interval', 'track', 'motion', 'interior', 'device',
    'threads', 'max_gap',
)  # fmt: skip
"""Parameters that the engine's configuration has under the same name and with the same meaning."""
LOWEST_THRESHOLD = 1e-9
"""Stands for a threshold of 0, which as a parameter is the model's own."""


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """The node's parameters; ``live`` ones can be changed while the node is active."""

    autostart: bool = _parameter(True, 'Configure and activate at start, without a lifecycle manager.')
    model: str = _parameter('efficientnet_lite0_fpn', 'Model card: a name in models/ or the path of a .yaml.')
    propagation: str = _parameter(
        'refined_warping',
        "How a non-key frame gets its result; 'none' runs the whole network on every frame.",
    )
    scheduler: str = _parameter('accumulated_deviation', 'What decides which frames are key frames.')
    threshold: float = _parameter(
        0.0,
        'Score above which a frame becomes a key frame (accumulated_deviation: 5 frames after the last); '
        "0 takes the model's own.",
        bounds=(0.0, 1e6),
        live=True,
    )
    min_interval: int = _parameter(
        1, 'Fewest frames from one key frame to the next.', bounds=(1, 1000), live=True
    )
    interval: int = _parameter(
        0,
        "Most frames from one key frame to the next; 0 takes the scheduler's own.",
        bounds=(0, 100000),
        live=True,
    )
    track: str = _parameter(
        'fast_slow',
        'fast_slow answers key frames at once and computes their features in the background; blocking waits.',
        choices=('blocking', 'fast_slow'),
    )
    motion: str = _parameter(
        'auto',
        "Motion estimator: auto (the propagation's own), dis, light_flow, flow_net_s or codec.",
    )
    interior: int = _parameter(
        0,
        "Interior layer to cut the model at, for models that offer a choice; 0 takes the model's own.",
        bounds=(0, 3),
    )
    device: str = _parameter('auto', 'auto, cpu, cuda or cuda:N.')
    size: str = _parameter(
        'auto', "Network input as HEIGHTxWIDTH; auto keeps the model's area at the camera's aspect."
    )
    threads: int = _parameter(
        0, 'CPU threads per track; 0 leaves a core to the slow track and the middleware.', bounds=(0, 256)
    )
    max_gap: float = _parameter(
        1.0, 'Seconds of silence after which the next image is a key frame.', bounds=(0.01, 3600.0)
    )
    image_transport: str = _parameter(
        'raw',
        'raw subscribes to image_raw, compressed to image_raw/compressed (JPEG or PNG); of a video, video to '
        'image_raw/video (CompressedImage), foxglove to image_raw/foxglove, ffmpeg to image_raw/ffmpeg.',
        choices=('raw', 'compressed', 'video', 'foxglove', 'ffmpeg'),
    )
    mask_encoding: str = _parameter('mono8', 'Encoding of ~/mask.', choices=('mono8', '16UC1'))
    diagnostics_period: float = _parameter(
        1.0, 'Seconds between two messages on /diagnostics.', bounds=(0.05, 3600.0)
    )

    def segmenter(self) -> SegmenterConfig:
        """Return the engine's part of the configuration.

        Raises:
            VssError: ``size`` is not ``auto`` or HEIGHTxWIDTH.

        """
        return SegmenterConfig(
            **{name: getattr(self, name) for name in SHARED},
            threshold=self.threshold or nan,
            size=parse_size(self.size),
        )


def assignments(segmenter: SegmenterConfig) -> list[str]:
    """Return the parameters, as ``NAME:=VALUE``, with which the node runs a segmenter.

    Args:
        segmenter: Whatever its ``slow_delay``, the node's slow track is the real one.
    """
    values = {name: getattr(segmenter, name) for name in SHARED}
    threshold = segmenter.threshold
    values['threshold'] = 0.0 if isnan(threshold) else max(threshold, LOWEST_THRESHOLD)
    values['size'] = 'auto' if segmenter.size is None else 'x'.join(map(str, segmenter.size))
    return [f'{name}:={value}' for name, value in values.items()]


def live_names() -> frozenset[str]:
    """Return the names of parameters that can be changed while the node is active."""
    return frozenset(f.name for f in fields(NodeConfig) if f.metadata['live'])


def declare_parameters(node: Node) -> None:
    """Declare all parameters with type, bounds and description.

    Raises:
        rclpy.exceptions.ParameterException: A value given at the start has another type or is out of bounds.

    """
    for f in fields(NodeConfig):
        text = f.metadata['text']
        if f.metadata['choices']:
            text += f' One of: {", ".join(f.metadata["choices"])}.'
        descriptor = ParameterDescriptor(name=f.name, description=text)
        bounds = f.metadata['bounds']
        if bounds and isinstance(f.default, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=bounds[0], to_value=bounds[1])]
            # "threshold: 1" in a file is an integer to YAML; a robot should not stay down for that.
            descriptor.dynamic_typing = True
        elif bounds:
            descriptor.integer_range = [IntegerRange(from_value=bounds[0], to_value=bounds[1])]
        node.declare_parameter(f.name, f.default, descriptor)


def read_parameters(node: Node) -> NodeConfig:
    """Return the parameters as they are now.

    Raises:
        VssError: A value is of another type, out of bounds, or not among its choices.

    """
    values = {f.name: node.get_parameter(f.name).value for f in fields(NodeConfig)}
    faults = [fault for name, value in values.items() if (fault := parameter_fault(name, value))]
    if faults:
        raise VssError('; '.join(faults))
    whole = {f.name: float(values[f.name]) for f in fields(NodeConfig) if isinstance(f.default, float)}
    config = NodeConfig(**(values | whole))
    parse_size(config.size)
    return config


def parameter_fault(name: str, value: Any) -> str:
    """Return what is wrong with a value, empty if nothing is or the parameter is not this node's."""
    declared = {f.name: f for f in fields(NodeConfig)}.get(name)
    if declared is None:
        return ''
    kind = type(declared.default)
    fits = isinstance(value, kind) or (kind is float and isinstance(value, int))
    if not fits or isinstance(value, bool) is not (kind is bool):
        return f'{name} is {value!r}, expected {kind.__name__}'
    choices, bounds = declared.metadata['choices'], declared.metadata['bounds']
    if choices and value not in choices:
        return f'{name} is {value!r}, expected one of: {", ".join(choices)}'
    if bounds and not bounds[0] <= value <= bounds[1]:
        return f'{name} is {value!r}, out of its range {bounds[0]} to {bounds[1]}'
    return ''
