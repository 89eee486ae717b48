"""The options of ``vss_ros.engine.options`` as parameters of a ROS node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

from vss_ros.engine.options import DEFAULTS, PARAMETERS, NodeConfig, SegmenterConfig, node_config, parameters

if TYPE_CHECKING:
    from rclpy.node import Node


def assignments(segmenter: SegmenterConfig) -> list[str]:
    """Return the parameters, as ``NAME:=VALUE``, with which the node runs a segmenter (no ``slow_delay``)."""
    return [f'{name}:={value}' for name, value in parameters(segmenter).items()]


def declare_parameters(node: Node) -> None:
    """Declare all parameters with type, bounds and description.

    Raises:
        rclpy.exceptions.ParameterException: A value given at the start has another type or is out of bounds.
    """
    for name, entry in PARAMETERS.items():
        default = DEFAULTS[name]
        descriptor = ParameterDescriptor(name=name, description=entry.description)
        if entry.bounds and isinstance(default, float):
            low, high = entry.bounds
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
            # "threshold: 1" in a file is an integer to YAML; a robot should not stay down for that.
            descriptor.dynamic_typing = True
        elif entry.bounds:
            low, high = map(int, entry.bounds)
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
        node.declare_parameter(name, default, descriptor)


def read_parameters(node: Node) -> NodeConfig:
    """Return the parameters as they are now; raises as ``node_config``."""
    return node_config({name: node.get_parameter(name).value for name in PARAMETERS})
