"""Choose the frames of a recording that are worth labelling, with our answers as pre-labels.

Frames are answered by the network and by the fast track, which carries an older answer along. Worth labelling
is where the two disagree and the network is unsure; of these, frames that differ in what they show and in
light. DIR gets images/, classes.yaml and, in prelabels/, what labelling tools import: cvat.zip (CVAT's
"Segmentation mask 1.1"), coco.json (CVAT's "COCO 1.0", Label Studio), ids/ (grey PNGs). Put what they export
into DIR as well, and teach the network: vss train --finetune CARD --data DIR. See docs/own_camera.md.

Examples:
  vss pick drive.mcap -n 60 -o to_label
  vss pick drive.mp4 -n 20 -o to_label --every 5 --model models/mine.yaml
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vss_ros.cli.common import add_json_argument, add_option
from vss_ros.command_line import add
from vss_ros.errors import VssError
from vss_ros.files import keep_apart, write_json

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add(parser, 'input INPUT', 'bag, video or image folder')
    add(parser, '-n --number N', 'frames to choose', 60)
    add(parser, '-o --output DIR', 'folder to write, new or empty', required=True)
    add(parser, '--every N', 'look at every so many-th frame (default: 600 in all)', 0)
    for name in ('model', 'size', 'device', 'threads'):
        add_option(parser, name)
    add(parser, '--fps', 'rate of image folders', 15.0)
    add(parser, '--image-topic TOPIC', 'where a bag has several image topics', '')
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Choose and write; returns 0, or 1 where frames or parts of the input were damaged and left out."""
    from vss_ros.engine.options import SegmenterConfig
    from vss_ros.evaluation.pick import look_at, most_different, write
    from vss_ros.recordings.open import open_source

    if args.number < 1 or args.every < 0:
        raise VssError(
            f'expected -n of 1 or more and --every of 0 or more, got {args.number} and {args.every}'
        )
    keep_apart(args.output, args.input)
    if args.output.is_dir() and any(args.output.iterdir()):
        raise VssError(f'{args.output}: expected a new folder, got one with files in it; name another')
    config = SegmenterConfig(model=args.model, size=args.size, device=args.device, threads=args.threads)
    options = {'image_topic': args.image_topic or None, 'fps': args.fps}
    with open_source(args.input, **options) as source:
        seen = look_at(source, config, args.every)
        damaged = bool(source.rejected or source.partial)
    chosen = most_different(seen, args.number)
    with open_source(args.input, **options) as source:
        rows = write(source, config, chosen, args.output)
    print(f'{len(rows)} of {len(seen)} frames in {args.output}: label them, then vss train --finetune')
    write_json(args.json, {'looked_at': len(seen), 'picked': rows})
    return int(damaged)
