"""The main job in one go: player and node as processes of their own, their output over DDS, then a report.

Plays a bag, video or image folder (the embedded clip by default) at its own speed, records what the node
publishes and writes overlay.mp4, timeline.png, summary.json and the recorded bag.

Examples:
  make demo
  make demo SOURCE=drive.mp4
  python -m vss_ros.node.demo my_bag -o out --param track:=blocking
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from vss_ros.data.bags import is_bag
from vss_ros.data.camera_topic import find_camera
from vss_ros.data.playback import open_playback
from vss_ros.data.sources import is_mask_topic, open_source
from vss_ros.errors import VssError
from vss_ros.evaluation.demo_report import write_report
from vss_ros.evaluation.recording import RecordedTopics, Recording
from vss_ros.node.live_run import BAG, NODE, LiveRun, play, stay_apart
from vss_ros.resources import resource

if TYPE_CHECKING:
    from collections.abc import Sequence

OUTPUTS = ('overlay.mp4', 'timeline.png', 'picture.png', 'decisions.csv', 'summary.json')


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit status."""
    args = _parse(arguments)
    stay_apart()
    try:
        return _run(args)
    except VssError as error:
        print(f'demo: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('demo: interrupted', file=sys.stderr)
        return 130


def _run(args: argparse.Namespace) -> int:
    source = args.source or resource('test', 'data', 'street')
    camera, truth = find_camera(source), _truth(source)
    output: Path = args.output
    output.mkdir(parents=True, exist_ok=True)
    for name in OUTPUTS:  # so that what is there after a failure is not an older run's
        (output / name).unlink(missing_ok=True)
    topics = RecordedTopics(camera.name, f'{NODE}/mask', f'{NODE}/key_frame', truth)
    print(f'playing {source} through {NODE} over DDS, ROS_DOMAIN_ID={os.environ["ROS_DOMAIN_ID"]}')
    more = [f'{NODE}/confidence', *([truth] if truth else [])]
    run = LiveRun(source, camera, args.rate, parameters=args.param, only_camera=False, more=more)
    with tqdm(total=camera.messages or None, unit='image', desc='playing', leave=False) as bar:
        play(run, output, bar.update)
    recording = Recording(output / BAG, topics)
    with open_source(source, image_topic=camera.name if is_bag(source) else None) as opened:
        fps = opened.fps or 15.0
    return write_report(recording, output, source, model=_model(args.param), fps=fps)


def _truth(source: Path) -> str | None:
    """Return the true masks' topic if there is one."""
    with open_playback(source) as playback:
        truths = [t.name for t in playback.topics if is_mask_topic(t.name) and 'mage' in t.msgtype]
    return truths[0] if len(truths) == 1 else None


def _model(parameters: Sequence[str]) -> str:
    from vss_ros.engine.build import SegmenterConfig

    return next((p.split(':=', 1)[1] for p in parameters if p.startswith('model:=')), SegmenterConfig().model)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        'demo', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'source', nargs='?', type=Path, help='bag, video or image folder (default: the embedded clip)'
    )
    parser.add_argument('-o', '--output', type=Path, default=Path('demo-output'), help='default: demo-output')
    parser.add_argument(
        '--rate', type=float, default=1.0, help="speed, 1 being the source's own (default: 1)"
    )
    parser.add_argument(
        '--param', action='append', default=[], metavar='NAME:=VALUE', help='a node parameter, repeatable'
    )
    return parser.parse_args(arguments)


if __name__ == '__main__':
    sys.exit(main())
