"""Make rosbag2 bags without ROS, and look into them.

Examples:
  vss bag make drive.mp4 -o drive_bag
  vss bag make camvid/val -o camvid_val --format png --fps 15     (masks in camvid/valannot are found)
  vss bag make drive.mp4 -o drive_bag --format mpeg4              (a compressed video on .../video)
  vss bag make frames/ -o frames_bag --masks labels/ --topic /front/image_raw
  vss bag info drive_bag --json info.json

Of a damaged bag everything readable is taken; what is wrong is printed and the exit status is 1.
"""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from vss_ros.cli.common import add_input_arguments, add_json_argument
from vss_ros.command_line import add, printable
from vss_ros.errors import VssError
from vss_ros.files import keep_apart, write_json
from vss_ros.images.classes import load_classes
from vss_ros.recordings.bags import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, BagWriter, is_bag
from vss_ros.recordings.checked_bag import open_checked
from vss_ros.recordings.messages import camera_info, compressed_image, raw_image, video_packet
from vss_ros.recordings.open import open_source
from vss_ros.recordings.playback import START_NS

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.images.video_encoding import VideoEncoder
    from vss_ros.recordings.source import Source

VIDEO_FORMATS = ('mpeg4', 'h264')
LONGEST_GOP = 10_000
TOPIC = re.compile(r'/[A-Za-z]\w*(/[A-Za-z_]\w*)*', re.ASCII)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``vss bag make`` and ``vss bag info``."""
    actions = parser.add_subparsers(dest='action', metavar='ACTION', required=True)
    layout = argparse.RawDescriptionHelpFormatter
    make = actions.add_parser(
        'make', help='bag from a video, image folder or bag', description=__doc__, formatter_class=layout
    )
    add(make, 'input INPUT', 'video, folder of images, or bag')
    add(make, '-o --output DIR', 'bag folder to make', required=True)
    add_input_arguments(make)
    add(make, '--classes TABLE', 'of the masks, whose colours become ids then, and other ids are refused')
    add(make, '--topic', 'image topic to write', '/camera/image_raw')
    add(make, '--frame-id', 'frame of the headers', 'camera')
    formats = ('jpeg', 'png', 'raw', *VIDEO_FORMATS)
    add(make, '--format', f'{" and ".join(VIDEO_FORMATS)}: packets of a video', 'jpeg', choices=formats)
    add(make, '--quality', 'but of PNG, 1 to 100', 90)
    add(make, '--gop N', 'frames per I-frame of a video', 12)
    add(make, '--storage', 'default: %(default)s', 'mcap', choices=('mcap', 'sqlite3'))
    add(make, '--fov', 'horizontal, in degrees', 60.0)
    add(make, '--overwrite', 'replace a bag that exists')
    add_json_argument(make)
    info = actions.add_parser(
        'info', help='topics, counts, duration, size', description=__doc__, formatter_class=layout
    )
    add(info, 'bag BAG', 'bag folder, or a bare .mcap or .db3 file')
    add_json_argument(info)


def run(args: argparse.Namespace) -> int:
    """Run the action; returns the exit code."""
    return _make(args) if args.action == 'make' else _info(args)


def _make(args: argparse.Namespace) -> int:
    if not 1 <= args.quality <= 100 or not 0 < args.fov < 180:
        raise VssError(f'expected --quality 1..100 and --fov 0..180, got {args.quality} and {args.fov}')
    if not 1 <= args.gop <= LONGEST_GOP:
        raise VssError(f'expected --gop of 1 to {LONGEST_GOP}, got {args.gop}')
    if printable(args.frame_id) != args.frame_id:
        raise VssError(f'expected a --frame-id of plain text, got {args.frame_id}')
    keep_apart(args.output, args.input, args.masks)
    if not TOPIC.fullmatch(args.topic):
        raise VssError(f'expected a topic such as /camera/image_raw, got --topic {args.topic}')
    with (
        open_source(
            args.input,
            image_topic=args.image_topic or None,
            masks=args.masks,
            fps=args.fps,
            table=load_classes(args.classes) if args.classes else None,
        ) as source,
        BagWriter(args.output, storage=args.storage, overwrite=args.overwrite) as bag,
    ):
        _copy(source, bag, args)
        if not bag.counts:
            raise source.nothing
        rejected, partial = source.rejected, source.partial
    counts = ', '.join(f'{count} on {topic}' for topic, count in bag.counts.items())
    print(f'{args.output}: {counts}' + (f'; {rejected} damaged frames left out' if rejected else ''))
    result = {'bag': str(args.output), 'messages': bag.counts, 'rejected': rejected, 'partial': partial}
    write_json(args.json, result)
    return max(_status(args.input, partial), int(rejected > 0))


def _copy(source: Source, bag: BagWriter, args: argparse.Namespace) -> None:
    namespace = args.topic.rpartition('/')[0]
    raw, video = args.format == 'raw', args.format in VIDEO_FORMATS
    suffix = '' if raw else '/compressed'
    image_type = IMAGE if raw else COMPRESSED_IMAGE
    topics = {
        args.topic + ('/video' if video else suffix): image_type,
        f'{namespace}/camera_info': CAMERA_INFO,
    }
    if source.has_masks:
        topics[f'{namespace}/mask{suffix}'] = image_type
    start = 0 if is_bag(args.input) else START_NS
    encoder = None
    if video:
        from vss_ros.images.video_encoding import VideoEncoder

        encoder = VideoEncoder(args.format, gop=args.gop, quality=args.quality)
    for frame, mask in tqdm(source, total=source.frame_count, unit='frame', disable=None):
        if not bag.counts:
            for topic, msgtype in topics.items():
                bag.add_topic(topic, msgtype)
        stamp = frame.stamp_ns + start
        messages = [
            _message(frame.image, stamp, args.format, args, encoder),
            camera_info(frame.image.shape[:2], stamp, args.frame_id, fov=args.fov),
            None if mask is None else _message(mask, stamp, 'raw' if raw else 'png', args, None),
        ]
        for topic, message in zip(topics, messages, strict=False):
            if message is not None:
                bag.write(topic, stamp, message)


def _message(
    pixels: NDArray[np.uint8], stamp: int, codec: str, args: argparse.Namespace, encoder: VideoEncoder | None
) -> Any:
    if codec == 'raw':
        return raw_image(pixels, stamp, args.frame_id)
    if encoder is not None and codec != 'png':
        return video_packet(encoder.encode(pixels), codec, stamp, args.frame_id)
    return compressed_image(
        pixels, stamp, args.frame_id, codec='png' if codec == 'png' else 'jpeg', quality=args.quality
    )


def _info(args: argparse.Namespace) -> int:
    with (
        tqdm(desc='checking', unit='B', unit_scale=True, delay=1, leave=False, disable=None) as bar,
        open_checked(args.bag, bar.update) as reader,
    ):
        seconds = max(0, reader.end_time - reader.start_time) / 1e9 if reader.message_count else 0.0
        topics: list[dict[str, Any]] = [
            {'topic': c.topic, 'type': c.msgtype, 'messages': c.msgcount}
            for c in sorted(reader.connections, key=lambda c: c.topic)
        ]
        messages, partial = reader.message_count, reader.partial
    files = [args.bag] if args.bag.is_file() else [file for file in args.bag.iterdir() if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    width = max([len(entry['topic']) for entry in topics], default=5)
    print(f'{args.bag}: {messages} messages, {seconds:.2f} s, {size / 1e6:.2f} MB')
    for entry in topics:
        # n messages have n - 1 intervals between them.
        rate = f'{max(entry["messages"] - 1, 0) / seconds:8.2f} Hz' if seconds else ''
        print(f'  {entry["topic"]:<{width}}  {entry["messages"]:>7} {rate}  {entry["type"]}')
    table = {'messages': messages, 'duration_s': seconds, 'size_bytes': size, 'topics': topics}
    write_json(args.json, table | {'partial': partial})
    return _status(args.bag, partial)


def _status(path: Path, partial: str | None) -> int:
    """Say what is wrong with a damaged input; returns the exit code."""
    if partial is not None:
        print(f'vss: {path} is damaged, only what could be read of it is here: {partial}', file=sys.stderr)
    return 0 if partial is None else 1
