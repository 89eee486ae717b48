"""Every choice a user has, declared once.

A field of ``SegmenterConfig`` or ``NodeConfig`` holds an option's name, type and default, and an ``Option``
with its text, bounds and choices. The node's parameters, the command line's arguments, the settings of sweeps
and the file config/segment.yaml derive from them. To write that file again:

    python -m vss_ros.engine.options > config/segment.yaml
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields
from math import isnan, nan
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from vss_ros.engine.option import Option, camera_names, fault_of_cameras, option, parse_size, written_size
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from collections.abc import Mapping

TRACKS = ('blocking', 'fast_slow')
PRECISIONS = ('auto', 'f32', 'bf16', 'f16', 'int8')
LOWEST_THRESHOLD = 1e-9
"""Stands for a threshold of 0, which as a node parameter is the model's own."""
LINE_LENGTH = 110


@dataclass(frozen=True, slots=True)
class SegmenterConfig:
    """What a segmenter is built from."""

    model: str = option(
        'efficientnet_lite0_fpn',
        'model card: a name in models/ (`vss models` lists them) or the path of a .yaml',
        placeholder='CARD',
    )
    propagation: str = option(
        'auto',
        'how a frame gets its result from the last key frame: auto (warp_and_repair where the model has '
        'its weights, else flow_warp), flow_warp (runs no network and fits any), warp_and_repair (the '
        'same, repaired by a tiny network of its own), refined_warping '
        '(reaches furthest where key frames are rare), spatially_variant_conv (looks at no motion) or '
        'another that `vss models` lists; none: the whole network on every frame',
        placeholder='P',
    )
    scheduler: str = option(
        'keep_busy',
        'what decides which frames are key frames: keep_busy (whenever the slow track is free and the '
        'scene has changed), accumulated_deviation, predicted_deviation, feature_threshold, '
        'flow_residual, fixed_interval or codec_keyframe (the I-frames of a compressed video)',
        placeholder='S',
    )
    threshold: float = option(
        nan,
        'score above which a frame becomes a key frame (with accumulated_deviation 5 frames after the last; '
        'it falls with the distance)',
        unset="the model's own",
        bounds=(0.0, 1e6),
        live=True,
        placeholder='X',
    )
    min_interval: int = option(
        1, 'fewest frames from one key frame to the next', bounds=(1, 1000), live=True, placeholder='N'
    )
    interval: int = option(
        0,
        'most frames from one key frame to the next',
        unset="the scheduler's own",
        bounds=(0, 100000),
        live=True,
        placeholder='N',
    )
    track: str = option(
        'fast_slow',
        'how key frames are computed: fast_slow answers at once and computes their features in the '
        'background; blocking waits for them',
        choices=TRACKS,
        placeholder='T',
    )
    slow_delay: int = option(
        0, 'frames until the simulated slow track answers', node=False, placeholder='FRAMES'
    )
    """0 runs the real background thread, as on a robot."""
    slow_duty: float = option(
        1.0,
        'largest share of the time that the slow track may compute, of one core per thread; lower leaves '
        'more of the machine to others and makes features older',
        bounds=(0.01, 1.0),
        placeholder='SHARE',
    )
    device: str = option('auto', 'where networks run: auto, cpu, cuda or cuda:N', placeholder='DEVICE')
    runtime: str = option(
        'auto',
        'what computes the networks: openvino, which auto takes on CPUs; torch, the reference, which it '
        'takes on CUDA devices and where the slow track is simulated, so that two machines answer the same; '
        'onnxruntime',
        placeholder='R',
    )
    precision: str = option(
        'auto',
        'of the runtime: auto measures which is the fastest on this machine and says so; bf16 needs a '
        'processor that has it, f16 a CUDA device, int8 a model that ships it',
        choices=PRECISIONS,
        placeholder='P',
    )
    size: tuple[int, int] | None = option(
        None,
        "network input as HEIGHTxWIDTH; auto keeps the model's area at the camera's aspect",
        placeholder='HxW',
        parse=parse_size,
    )
    """Height and width; None for ``auto``."""
    threads: int = option(
        0,
        'CPU threads per track',
        unset='half the cores where a slow track runs in the background, else all but one',
        bounds=(0, 256),
        placeholder='N',
    )
    motion: str = option(
        'auto',
        "motion estimator: auto (the propagation's own, or dis where only the scheduler looks at motion), "
        'dis, light_flow, flow_net_s or codec',
        placeholder='M',
    )
    min_confidence: float = option(
        0.0,
        'confidence below which a pixel is answered as 255, unknown; on CamVid 0.75 hides 7 in 100 pixels '
        'and 54 in 100 errors',
        unset='every answer as it is',
        bounds=(0.0, 1.0),
        placeholder='P',
    )
    max_gap: float = option(
        1.0,
        'seconds of silence after which the next image is a key frame',
        bounds=(0.01, 3600.0),
        offline=False,
    )
    interior: int = option(
        0,
        'interior layer to cut the model at (mobilenet_fpn, swiftnet_r18: 1, 2 or 3)',
        unset="the model's own",
        bounds=(0, 3),
        placeholder='LAYER',
    )
    trust: bool = option(False, "run the model's .pt2, a program that may do anything when it is opened")


OFFLINE = SegmenterConfig(slow_delay=1)
"""Defaults of offline commands: the slow track is simulated, so that two runs give the same."""


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """What the ROS node is set to."""

    autostart: bool = option(True, 'configure and activate at start, without a lifecycle manager')
    cameras: tuple[str, ...] = option(
        (),
        'cameras that this node segments by one network, such as [front, rear]: the topics of each are '
        'below its name (front/image_raw, ~/front/mask), and what is marked "of each camera" it can have '
        'for itself (front.qos: reliable); empty: one camera, without a name',
    )
    fast_duty: float = option(
        0.0,
        "of several cameras: largest share of the time that one's images may be computed on the fast track, "
        'so that one that floods leaves the others theirs',
        unset='an equal share of those that send',
        bounds=(0.0, 1.0),
    )
    bond: bool = option(False, "let Nav2's lifecycle manager notice when the node is gone; needs bondpy")
    segmenter: SegmenterConfig = field(default_factory=SegmenterConfig)
    image_transport: str = option(
        'raw',
        'raw images on image_raw, or JPEG or PNG compressed ones on image_raw/compressed. Of a video (H.264, '
        'HEVC, MPEG-4 ...; no B-frames, a reliable publisher) the whole stream is decoded: video subscribes '
        'to image_raw/video (sensor_msgs/CompressedImage whose format names the codec), foxglove to '
        'image_raw/foxglove (foxglove_msgs/CompressedVideo), ffmpeg to image_raw/ffmpeg '
        '(ffmpeg_image_transport_msgs/FFMPEGPacket)',
        choices=('raw', 'compressed', 'video', 'foxglove', 'ffmpeg'),
    )
    qos: str = option(
        'auto',
        'how to subscribe to the images: auto is reliable where every publisher is, so that Fast DDS sends '
        'again what it loses of an image of 0.5 MB or more, and else best_effort, which both kinds of '
        'publishers fit',
        choices=('auto', 'best_effort', 'reliable'),
    )
    min_rate: float = option(
        0.0,
        'answers a second, over 5 s, below which the status on /diagnostics is WARN, and ERROR below half',
        unset='no limit',
        bounds=(0.0, 1e6),
    )
    max_latency: float = option(
        0.0,
        'seconds from the receipt of an image to its mask, 95th percentile over 5 s, above which the status '
        'is WARN, and ERROR above twice as many',
        unset='no limit',
        bounds=(0.0, 1e6),
    )
    max_age: float = option(
        0.0,
        "seconds from an image's stamp to its mask, otherwise as max_latency",
        unset='no limit',
        bounds=(0.0, 1e6),
    )
    mask_encoding: str = option('mono8', 'encoding of ~/mask', choices=('mono8', '16UC1'))
    profile: str = option(
        'plain',
        "whose rules the outputs follow: nav2 (what kiwicampus' semantic_segmentation_layer reads), autoware "
        "(a run-length mask of Autoware's labels), isaac (the topics of isaac_ros_unet)",
        choices=('plain', 'nav2', 'autoware', 'isaac'),
    )
    class_map: str = option(
        '',
        'merges and renumbers the classes of what is published: a .yaml file, autoware, or as text such as '
        '{drivable: [road, pavement]}; the position is the id, what is not named becomes "other"; empty: '
        'as the model has them',
    )
    camera_info_topic: str = option('', 'topic of the CameraInfo; empty: camera_info beside the images')
    depth_topic: str = option(
        '',
        'for ~/points: depth images (16UC1 in mm, 32FC1 in m) aligned with the images, or organised clouds; '
        'empty: there is no ~/points',
    )
    depth_slack: float = option(
        0.01,
        'most seconds between the stamps of an image and its depth',
        bounds=(0.0, 1.0),
    )
    drivable: str = option(
        '',
        'classes that ~/ground and ~/scene take to be drivable, such as: road, pavement; empty: road, floor '
        'and drivable, where there are any',
    )
    ground_frame: str = option(
        'base_footprint',
        'frame of ~/ground, x ahead, y left, whose z = 0 is the ground (REP-103)',
    )
    camera_height: float = option(
        0.0,
        'metres of the camera above the origin of ground_frame, where it looks ahead',
        unset='what tf2 says of its frame',
        bounds=(0.0, 1000.0),
    )
    camera_pitch: float = option(
        0.0,
        'radians by which the camera looks down, beside camera_height',
        bounds=(-1.57, 1.57),
    )
    ground_reach: float = option(15.0, 'side of the square of ~/ground, metres', bounds=(0.1, 1000.0))
    ground_cell: float = option(0.1, 'side of a cell of ~/ground, metres', bounds=(0.01, 100.0))
    diagnostics_period: float = option(
        1.0, 'seconds between two messages on /diagnostics', bounds=(0.05, 3600.0)
    )


SETTINGS: dict[str, Option] = {f.name: f.metadata['option'] for f in fields(SegmenterConfig)}
PARAMETERS: dict[str, Option] = {
    **{name: entry for name, entry in SETTINGS.items() if entry.node},
    **{f.name: f.metadata['option'] for f in fields(NodeConfig) if f.metadata},
}
"""Of the segmenter, and of the node with its segmenter; by name."""
PER_CAMERA = frozenset({
    'threshold', 'min_interval', 'interval', 'slow_duty', 'max_gap', 'fast_duty', 'image_transport', 'qos',
    'min_rate', 'max_latency', 'max_age', 'mask_encoding', 'profile', 'class_map', 'camera_info_topic',
    'depth_topic', 'depth_slack', 'drivable', 'ground_frame', 'camera_height', 'camera_pitch', 'ground_reach',
    'ground_cell',
})  # fmt: skip
"""Parameters that each of several cameras has for itself, as ``CAMERA.NAME``."""


def parameters(config: SegmenterConfig | NodeConfig) -> dict[str, Any]:
    """Return the values of node parameters, by name, that stand for a configuration."""
    values = {f.name: getattr(config, f.name) for f in fields(config)}
    if isinstance(config, NodeConfig):
        values['cameras'] = list(config.cameras or ('',))  # ROS knows no type of an empty list
        return parameters(values.pop('segmenter')) | values
    threshold = 0.0 if isnan(config.threshold) else max(config.threshold, LOWEST_THRESHOLD)
    values |= {'threshold': threshold, 'size': written_size(config.size)}
    return {name: value for name, value in values.items() if SETTINGS[name].node}


DEFAULTS = parameters(NodeConfig())
"""Of the node parameters, by name."""


def parameter_fault(name: str, value: Any) -> str:
    """Return what is wrong with a parameter's value, empty if nothing is or the name is not the node's."""
    declared = PARAMETERS.get(name)
    if declared is None:
        return ''
    if name == 'cameras':
        return fault_of_cameras(value, PARAMETERS)
    kind = type(DEFAULTS[name])
    fits = isinstance(value, kind) or (kind is float and isinstance(value, int))
    if not fits or isinstance(value, bool) is not (kind is bool):
        return f'{name} is {value!r}, expected {kind.__name__}'
    if declared.choices and value not in declared.choices:
        return f'{name} is {value!r}, expected one of: {", ".join(declared.choices)}'
    bounds = declared.bounds
    if bounds and not bounds[0] <= value <= bounds[1]:
        return f'{name} is {value!r}, out of its range {bounds[0]} to {bounds[1]}'
    return ''


def node_config(values: Mapping[str, Any]) -> NodeConfig:
    """Return the configuration that node parameters stand for; those left out have their defaults.

    Raises:
        VssError: Values of another type, out of bounds or not among their choices; all are named.
    """
    faults = [fault for name, value in values.items() if (fault := parameter_fault(name, value))]
    if faults:
        raise VssError('; '.join(faults))
    # A whole number in a file is an integer to YAML, also where the parameter is a float.
    known = {name: type(DEFAULTS[name])(value) for name, value in {**DEFAULTS, **values}.items()}
    known['cameras'] = camera_names(values.get('cameras', ()))
    known |= {'threshold': known['threshold'] or nan, 'size': parse_size(known['size'])}
    segmenter = {name: known.pop(name) for name in SETTINGS if name in known}
    return NodeConfig(segmenter=SegmenterConfig(**segmenter), **known)


def parameter_file() -> str:
    """Return the text of config/segment.yaml: every node parameter with its default."""
    lines = [
        '# Every parameter of the node, with its default. Made by: python -m vss_ros.engine.options',
        '# "/**" so that it fits any namespace and node name that the launch file gives.',
        '/**:',
        '  ros__parameters:',
    ]
    for name, entry in PARAMETERS.items():
        text = entry.description
        if entry.bounds:
            text += f' {entry.bounds[0]:.9g} to {entry.bounds[1]:.9g}.'
        text += ' Can be changed while running.' if entry.live else ''
        text += ' Of each camera.' if name in PER_CAMERA else ''
        value = DEFAULTS[name] if DEFAULTS[name] != '' else "''"
        comment = wrap(text, LINE_LENGTH - 2, initial_indent='    # ', subsequent_indent='    # ')
        lines += [*comment, f'    {name}: {str(value).lower() if isinstance(value, bool) else value}']
    return '\n'.join(lines) + '\n'


if __name__ == '__main__':
    sys.stdout.write(parameter_file())
