"""The demo: plays a recording to a real node over DDS and shows what it answers.

Writes a video with the masks drawn over the images, pictures, a table of decisions and summary.json.

Examples:
  make demo                                          the embedded clip, into demo-output/
  make demo SOURCE=drive.mp4                         any video, image folder or bag
  python -m vss_ros.live.demo --rate 0.3             slower than recorded
"""

from __future__ import annotations

import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from tqdm import tqdm

from vss_ros.command_line import add, new_parser, run_program
from vss_ros.engine.model_card import read_card
from vss_ros.engine.options import SegmenterConfig
from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix
from vss_ros.evaluation.replay.decisions import figures_of, write_decisions
from vss_ros.files import write_json, write_png
from vss_ros.images.classes import load_classes
from vss_ros.images.video_encoding import VideoWriter
from vss_ros.latency import percentiles
from vss_ros.live.observer import NODE, LiveRun
from vss_ros.live.received import ReceivedIndex
from vss_ros.live.run import play, stay_apart
from vss_ros.recordings.bags import is_bag
from vss_ros.recordings.open import open_source
from vss_ros.recordings.playback import find_camera, open_playback
from vss_ros.recordings.source import is_mask_topic
from vss_ros.resources import resource

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from vss_ros.evaluation.rows import DecisionRow
    from vss_ros.images.classes import ClassTable
    from vss_ros.live.received import Answer, Received

OUTPUTS = ('overlay.mp4', 'timeline.png', 'picture.png', 'decisions.csv', 'summary.json')
PICTURE_EVERY = 45
"""Frames from one frame shown in picture.png to the next."""
PICTURES = 3
"""Most frames shown in picture.png."""
OVERWRITTEN = 0.1
"""Share of overwritten images above which the machine counts as too slow."""
FASTER = '--param propagation:=flow_warp --param motion:=dis_half'
"""Parameters of the fastest answers."""


def write_report(
    received: Received, truth: str, output: Path, source: Path, *, model: str, fps: float
) -> int:
    """Write overlay.mp4, timeline.png, decisions.csv, summary.json and print a table.

    ``truth`` is the topic of the true masks, empty where there is none; ``received`` recorded everything.

    Returns:
        0, or 1 where no image was answered.
    """
    table = load_classes(read_card(model).classes)
    matrix = ConfusionMatrix(len(table), table.void_id)
    index = ReceivedIndex()
    answers = tqdm(received.answers(index, truth), desc='drawing', unit='frame', total=received.sent)
    pictures, scored = _draw(answers, output / 'overlay.mp4', table, matrix, fps)
    rows = [row for of_stamp in index.decisions.values() for row in of_stamp]
    if not rows:
        print(f'no image was answered; look at {output}/segmentation_node.log')
        return 1
    write_decisions(rows, output, f'{source.name}: live over DDS, {model}')
    _write_picture(pictures, output)
    summary = _summary(rows, index, received.counters)
    summary |= {'miou': round(matrix.miou, 5) if scored else None, 'masks_scored': scored}
    write_json(output / 'summary.json', summary)
    _print(summary, output)
    return 0


def _draw(
    answers: Iterable[Answer], target: Path, table: ClassTable, matrix: ConfusionMatrix, fps: float
) -> tuple[list[NDArray[np.uint8]], int]:
    """Score all masks and draw the video; returns a few of its pictures and how many masks were scored."""
    few: list[NDArray[np.uint8]] = []
    scored, size = 0, ()
    with VideoWriter(target, fps) as writer:
        for answer in answers:
            scored += _score(answer, matrix)
            if answer.image is None or answer.mask is None:
                continue
            size = size or answer.mask.shape[1::-1]
            picture = table.blend(answer.image, answer.mask)
            picture = _captioned(np.asarray(cv2.resize(picture, size), np.uint8), answer.decision)
            writer.write(picture)
            if writer.frames % PICTURE_EVERY == PICTURE_EVERY // 2 and len(few) < PICTURES:
                few.append(picture)
    return few, scored


def _score(answer: Answer, matrix: ConfusionMatrix) -> bool:
    """Add an answer to the matrix; False where there is nothing to compare or the truth has other classes."""
    if answer.mask is None or answer.truth is None:
        return False
    try:
        matrix.add(answer.truth, answer.mask)
    except VssError as error:
        tqdm.write(f'mask {answer.stamp_ns} is not scored: {error}')
        return False
    return True


def _write_picture(pictures: list[NDArray[np.uint8]], output: Path) -> None:
    if not pictures:
        return
    row = np.hstack(pictures)[..., ::-1]
    timeline = cv2.imread(str(output / 'timeline.png'))
    if timeline is None:
        return
    height = round(timeline.shape[0] * row.shape[1] / timeline.shape[1])
    below = cv2.resize(timeline, (row.shape[1], height), interpolation=cv2.INTER_AREA)
    write_png(output / 'picture.png', np.vstack((row, np.asarray(below, np.uint8)))[..., ::-1])


def _captioned(picture: NDArray[np.uint8], row: DecisionRow | None) -> NDArray[np.uint8]:
    """Say in a corner whether this is a key frame, how far the last one is, and how long it took."""
    if row is None:
        return picture
    text = f'KEY ({row.reason})' if row.is_key_frame else f'+{row.frames_since_key}'
    text += f'  {1e3 * row.latency:.0f} ms'
    colour = (0, 120, 0) if row.is_key_frame else (40, 40, 40)
    cv2.rectangle(picture, (0, 0), (11 * len(text) + 8, 22), colour, -1)
    cv2.putText(picture, text, (5, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return picture


def _summary(
    rows: Sequence[DecisionRow], index: ReceivedIndex, counters: Mapping[str, int]
) -> dict[str, Any]:
    frames_in = sum(map(len, index.images.values()))
    decisions = {stamp: len(of_stamp) for stamp, of_stamp in index.decisions.items()}
    stamps = index.masks.keys() | decisions.keys()
    return {
        'frames_in': frames_in,
        'masks': index.masks.total(),
        'decisions': len(rows),
        **figures_of(rows),
        'latency_key_fast_ms': percentiles([r.latency for r in rows if r.is_key_frame and r.track == 'fast']),
        'latency_key_full_ms': percentiles([r.latency for r in rows if r.is_key_frame and r.track == 'full']),
        'masks_out_of_order': sum(later <= earlier for earlier, later in pairwise(index.masks)),
        'masks_without_decision': sum(abs(index.masks[s] - decisions.get(s, 0)) for s in stamps),
        'dropped': {cause: counters.get(cause, 0) for cause in ('overwritten', 'rejected', 'errors')}
        | {'transport': max(frames_in - counters.get('received', 0), 0)},
    }


def _print(summary: dict[str, Any], output: Path) -> None:
    dropped = ', '.join(f'{count} {cause}' for cause, count in summary['dropped'].items() if count) or 'none'
    print(f'images {summary["frames_in"]}, masks {summary["masks"]}, dropped: {dropped}')
    if summary['dropped']['overwritten'] > OVERWRITTEN * summary['frames_in']:
        print(
            'The answer is always to the newest image, and those overwritten had none: this machine, or what '
            f'else it does, is too slow for these settings\n  faster: make demo ARGS="{FASTER}"\n'
            '  all images, slower: make demo ARGS="--rate 0.3"'
        )
    often = f'{summary["key_frames"]} of {summary["decisions"]}, one in {summary["mean_interval"]:.1f}'
    fast = ': the fast track answered each, then the slow track ran the whole network on it'
    print(f'key frames {often}{fast if summary["latency_key_fast_ms"] else ""}')
    if summary['miou'] is not None:
        print(f'mIoU of the published masks {100 * summary["miou"]:.1f} %')
    print('latency from receipt to published mask, ms')
    for name, part in (
        ('other frames', 'nonkey'), ('key frames, answered by fast track', 'key_fast'),
        ('key frames, whole network', 'key_full'),
    ):  # fmt: skip
        if figures := summary[f'latency_{part}_ms']:
            values = [f'{key} {figures[key]:6.1f}' for key in ('p50', 'p99', 'max')]
            print(f'  {name:<36}{"  ".join(values)}')
    print(f'look at {output}/overlay.mp4 and {output}/timeline.png; all that was published: {output}/bag')


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit code (see ``run_program``)."""
    args = _parse(arguments)
    stay_apart()
    return run_program('demo', lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    source = args.source or resource('test', 'data', 'street')
    camera, truth = find_camera(source), _truth(source)
    output: Path = args.output
    output.mkdir(parents=True, exist_ok=True)
    for name in OUTPUTS:  # so that what is there after a failure is not an older run's
        (output / name).unlink(missing_ok=True)
    print(f'playing {source} through {NODE} over DDS, ROS_DOMAIN_ID={os.environ["ROS_DOMAIN_ID"]}')
    more = [f'{NODE}/confidence', *filter(None, [truth])]
    run = LiveRun(source, camera, args.rate, parameters=args.param, only_camera=False, more=more)
    with tqdm(total=camera.messages or None, unit='image', desc='playing', leave=False) as bar:
        received = play(run, output, bar.update)
    with open_source(source, image_topic=camera.name if is_bag(source) else None) as opened:
        fps = opened.fps or 15.0
    return write_report(received, truth, output, source, model=_model(args.param), fps=fps)


def _truth(source: Path) -> str:
    """Return the topic of the true masks, empty where there is none or more than one."""
    with open_playback(source) as playback:
        truths = [t.name for t in playback.topics if is_mask_topic(t.name) and 'mage' in t.msgtype]
    return truths[0] if len(truths) == 1 else ''


def _model(parameters: Sequence[str]) -> str:
    return next((p.split(':=', 1)[1] for p in parameters if p.startswith('model:=')), SegmenterConfig().model)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = new_parser('demo', __doc__)
    add(parser, 'source SOURCE', 'bag, video or image folder (default: the embedded clip)', nargs='?')
    add(parser, '-o --output', 'default: demo-output', Path('demo-output'))
    add(parser, '--rate', "speed, 1 being the source's own (default: 1)", 1.0)
    add(parser, '--param NAME:=VALUE', 'a node parameter, repeatable', [], action='append')
    return parser.parse_args(arguments)


if __name__ == '__main__':
    sys.exit(main())
