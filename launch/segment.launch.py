"""Segment a camera's images: `ros2 launch vss_ros segment.launch.py image_topic:=/camera/image_raw`.

The node brings itself up (parameter autostart), so that it is a plain node here. Where launch is not
installed, the same executable starts with the same parameter file:
`segmentation_node --ros-args --params-file segment.yaml -r image_raw:=/camera/image_raw`.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from vss_ros.engine.option import camera_names
from vss_ros.engine.options import PARAMETERS
from vss_ros.node.process import end_with
from vss_ros.resources import large_image_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launch.action import Action

NODE = 'segmentation'
TRANSPORTS = PARAMETERS['image_transport'].choices
BOOLEAN = ['true', 'false', 'True', 'False']  # Python launch files that include this one give Python's words
RESPAWNS = 10
LARGE = 'one that is set already stays, and the camera driver needs it as well'


def arguments() -> list[Action]:
    """Return what can be given on the command line; an empty value leaves it to the parameter file."""
    default_params = PathJoinSubstitution([FindPackageShare('vss_ros'), 'config', 'segment.yaml'])
    rows = [
        ('namespace', '', 'Namespace of the node; its topics are relative to it', None),
        (
            'params_file',
            default_params,
            'Parameter file of the node (config/segment.yaml explains each)',
            None,
        ),
        ('model', '', 'Model: a name of `vss models` or the path of a card; empty: as in params_file', None),
        ('device', '', 'auto, cpu, cuda or cuda:N; empty: as in params_file', None),
        (
            'image_topic',
            'image_raw',
            'Topic of the camera; /compressed at its end chooses image_transport',
            None,
        ),
        (
            'cameras',
            '',
            'Several in one node, as front,rear, with an image_topic for each; empty: as in params_file',
            None,
        ),
        (
            'image_transport',
            '',
            'What to subscribe to; empty: as in params_file',
            ['', *TRANSPORTS],
        ),
        (
            'use_sim_time',
            '',
            'Time from /clock (bags, simulators); empty: as in params_file',
            ['', *BOOLEAN],
        ),
        (
            'autostart',
            '',
            'Configure and activate at once, or wait for transitions; empty: as in params_file',
            ['', *BOOLEAN],
        ),
        ('log_level', 'info', 'Log level of the node', ['debug', 'info', 'warn', 'error', 'fatal']),
        (
            'respawn',
            'false',
            f'Start the node again, after 2 s, when killed ({RESPAWNS} times); not when it cannot start',
            BOOLEAN,
        ),
        ('large_images', 'true', f'Set the Fast DDS profile for images of several MB; {LARGE}', BOOLEAN),
    ]
    return [
        DeclareLaunchArgument(name, default_value=default, description=text, choices=choices)
        for name, default, text, choices in rows
    ]


def remappings(cameras: Sequence[str], topics: str) -> list[tuple[str, str]]:
    """Return the rules from the node's names to the cameras' topics.

    Raises:
        ValueError: There are not as many topics as cameras.
    """
    if not cameras:
        return [('image_raw', topics)]
    given = [topic.strip() for topic in topics.split(',')]
    if given == ['image_raw']:  # the default
        return []
    if len(given) != len(cameras):
        msg = f'expected an image_topic for each of {", ".join(cameras)}, got {topics!r}; use commas'
        raise ValueError(msg)
    return [(f'{camera}/image_raw', topic) for camera, topic in zip(cameras, given, strict=True)]


def start(context: LaunchContext) -> list[Action]:
    """Return the node with its environment, now that the arguments are known."""

    def text(name: str) -> str:
        return str(LaunchConfiguration(name).perform(context))

    def flag(name: str) -> bool:
        return text(name).lower() == 'true'

    # Only what is given: the defaults of this file must not overrule the parameter file.
    overrides: dict[str, str | bool] = {n: flag(n) for n in ('use_sim_time', 'autostart') if text(n)}
    overrides |= {
        name: text(name) for name in ('model', 'device', 'cameras', 'image_transport') if text(name)
    }
    file = Path(text('params_file'))
    if not file.is_file():
        msg = f'expected a parameter file as params_file, got {str(file)!r}, which is none'
        raise FileNotFoundError(msg)
    names = [argument.name for argument in arguments()]
    for name in context.launch_configurations.keys() - set(names):
        if near := get_close_matches(name, names, 1):  # others are of files that include this one
            get_logger(NODE).warning(f'there is no argument {name!r}, did you mean {near[0]!r}?')
    # A logger is named like the node, with dots. Only this one: rclpy's own debug lines would bury it.
    logger = '.'.join([*filter(None, text('namespace').split('/')), NODE])
    profile = large_image_environment(context.environment) if flag('large_images') else {}
    node = Node(
        package='vss_ros',
        executable='segmentation_node',
        name=NODE,
        namespace=text('namespace'),
        parameters=[text('params_file'), overrides],
        remappings=remappings(camera_names(text('cameras')), text('image_topic')),
        ros_arguments=['--log-level', f'{logger}:={text("log_level")}'],
        respawn=flag('respawn'),
        respawn_delay=2.0,
        respawn_max_retries=RESPAWNS,
        on_exit=partial(end_with, respawns=iter(range(RESPAWNS if flag('respawn') else 0))),
        output='both',
        emulate_tty=True,
    )
    return [*(SetEnvironmentVariable(name, value) for name, value in profile.items()), node]


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and the node that follows from them."""
    return LaunchDescription([*arguments(), OpaqueFunction(function=start)])
