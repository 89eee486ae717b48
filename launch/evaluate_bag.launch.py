"""What would the planner have seen? `ros2 launch vss_ros evaluate_bag.launch.py bag:=drive_bag output:=out`.

Starts the node with its parameter file on the bag's camera topic, plays the bag to it and scores every mask
as a subscriber receives it: out/report.html, results.json, timing.json. Ends by itself. Where launch is not
installed, `vss evaluate drive_bag --live -o out` does the same.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from vss_ros.node.intake import TRANSPORTS
from vss_ros.node.process import end_with
from vss_ros.recordings.playback import find_camera
from vss_ros.resources import large_image_environment

if TYPE_CHECKING:
    from launch.action import Action
    from launch.events.process import ProcessExited

NODE = 'segmentation'


def arguments() -> list[Action]:
    """Return what can be given on the command line; an empty value leaves it to the parameter file."""
    default_params = PathJoinSubstitution([FindPackageShare('vss_ros'), 'config', 'segment.yaml'])
    rows = [
        ('bag', None, 'What to play: a rosbag2 bag, a video or a folder of images'),
        ('output', 'evaluation', 'Folder of the results; what it holds is not done again'),
        ('rate', '1.0', "Speed, 1 being the bag's own; 3 shows overload"),
        (
            'image_topic',
            '',
            'Camera topic of a bag that has several, with its /compressed or the like',
        ),
        ('params_file', default_params, 'Parameter file of the node (config/segment.yaml explains each)'),
        ('namespace', '', 'Namespace of the node'),
        ('model', '', 'Model: a name of `vss models` or the path of a card; empty: as in params_file'),
        ('device', '', 'auto, cpu, cuda or cuda:N; empty: as in params_file'),
        ('options', '', 'Further options of `vss evaluate`, such as "--masks labels --fresh"'),
        ('log_level', 'info', 'Log level of the node'),
    ]
    return [
        DeclareLaunchArgument(name, default_value=default, description=text) for name, default, text in rows
    ]


def ended(event: ProcessExited, context: LaunchContext) -> Action:
    """End all when one has ended, with a status other than 0 where it failed."""
    end_with(event, context)
    return Shutdown(reason=f'{event.process_name} has ended')


def start(context: LaunchContext) -> list[Action]:
    """Return the node and the evaluation, now that the arguments are known."""

    def text(name: str) -> str:
        return str(LaunchConfiguration(name).perform(context))

    # A damaged bag plays what it still has, as with vss evaluate --live.
    camera = find_camera(Path(text('bag')), text('image_topic'), salvage=True)
    name = '/'.join(['', *filter(None, text('namespace').split('/')), NODE])
    overrides = {key: text(key) for key in ('model', 'device') if text(key)}
    node = Node(
        package='vss_ros',
        executable='segmentation_node',
        name=NODE,
        namespace=text('namespace'),
        parameters=[text('params_file'), {'image_transport': camera.transport} | overrides],
        remappings=[(TRANSPORTS[camera.transport].topic, camera.name)],
        ros_arguments=['--log-level', f'{name[1:].replace("/", ".")}:={text("log_level")}'],
        output='both',
        on_exit=ended,
    )
    topic = ['--image-topic', camera.name] if text('image_topic') else []
    evaluation = ExecuteProcess(
        cmd=[
            'vss', 'evaluate', text('bag'), '--live', '--attach', name, '--rate', text('rate'),
            '-o', text('output'), *topic, *shlex.split(text('options')),
        ],
        output='screen',
        on_exit=ended,
    )  # fmt: skip
    profile = large_image_environment(context.environment)
    return [*(SetEnvironmentVariable(name, value) for name, value in profile.items()), node, evaluation]


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and the actions that follow from them."""
    return LaunchDescription([*arguments(), OpaqueFunction(function=start)])
