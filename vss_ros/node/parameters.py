"""The options of ``vss_ros.engine.options`` as parameters of a ROS node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

from vss_ros.engine.options import (
    DEFAULTS,
    PARAMETERS,
    PER_CAMERA,
    NodeConfig,
    SegmenterConfig,
    node_config,
    parameters,
)

if TYPE_CHECKING:
    from rclpy.node import Node

    from vss_ros.engine.option import Option


def assignments(segmenter: SegmenterConfig) -> list[str]:
    """Return the parameters, as ``NAME:=VALUE``, with which the node runs a segmenter (no ``slow_delay``)."""
    return [f'{name}:={value}' for name, value in parameters(segmenter).items()]


def declare_parameters(node: Node) -> None:
    """Declare all parameters with type, bounds and description.

    Raises:
        rclpy.exceptions.ParameterException: A value given at the start has another type or is out of bounds.
    """
    for name, entry in PARAMETERS.items():
        _declare(node, name, entry, DEFAULTS[name])


def declare_camera(node: Node, camera: str) -> None:
    """Declare what one of several cameras has for itself, by default as the node has it."""
    for name, entry in PARAMETERS.items():
        if name in PER_CAMERA and not node.has_parameter(f'{camera}.{name}'):
            _declare(node, f'{camera}.{name}', entry, node.get_parameter(name).value)


def _declare(node: Node, name: str, entry: Option, default: Any) -> None:
    descriptor = ParameterDescriptor(name=name, description=entry.description)
    # A text, too, as on the command line, and "[]", which is of no type.
    descriptor.dynamic_typing = isinstance(default, list)
    if entry.bounds and isinstance(default, float):
        low, high = entry.bounds
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        # "threshold: 1" in a file is an integer to YAML; a robot should not stay down for that.
        descriptor.dynamic_typing = True
    elif entry.bounds:
        low, high = map(int, entry.bounds)
        descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
    node.declare_parameter(name, default, descriptor)


def read_parameters(node: Node, camera: str = '') -> NodeConfig:
    """Return the parameters as they are now, a camera's own where it is named; raises as ``node_config``."""
    own = PER_CAMERA if camera else frozenset()
    return node_config(
        {name: node.get_parameter(f'{camera}.{name}' if name in own else name).value for name in PARAMETERS}
    )
