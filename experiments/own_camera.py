"""How many labels of an own camera are worth it: networks taught 10 to 60 frames, picked or evenly spread.

    python -m experiments.own_camera ../shared/data/indoor_robot -o out --steps 200
    python -m experiments.own_camera ../shared/data/indoor_robot -o out --steps 600 --labels 60 --imagenet

DATA holds ``images/``, ``labels/``, ``classes.csv`` and the drive that they come from. Every fourth labelled
frame is never learned from, but scored on. What lies in OUT already is not trained again; a run that was
stopped goes on.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from vss_ros.engine.model_card import read_card
from vss_ros.engine.options import SegmenterConfig
from vss_ros.evaluation.pick import look_at, most_different
from vss_ros.files import write_json
from vss_ros.recordings.open import open_source
from vss_ros.training.computing import keep_freed_memory
from vss_ros.training.finetune import finetune
from vss_ros.training.loop import trained_minutes

if TYPE_CHECKING:
    from collections.abc import Sequence

CARD = 'efficientnet_lite0_fpn'
TEST, FIRST = 4, 2
"""Of so many labelled frames one is scored on, the third."""
WAYS = ('picked', 'evenly')


def number_of(path: Path) -> int:
    """Return a labelled frame's place in the drive, which its name ends in."""
    return int(path.stem.rpartition('_')[2])


def picked(drive: Path, frames: Sequence[Path], count: int, cache: dict[str, Any]) -> list[Path]:
    """Return those frames that ``vss pick`` takes of the drive where it may only take these."""
    if 'seen' not in cache:
        with open_source(drive) as source:
            cache['seen'] = look_at(source, SegmenterConfig(model=CARD), 0)
    by_number = {number_of(path): path for path in frames}
    seen = [one for one in cache['seen'] if one.index in by_number]
    return [by_number[one.index] for one in most_different(seen, count)]


def evenly(frames: Sequence[Path], count: int) -> list[Path]:
    """Return so many frames, evenly spread over the drive."""
    step = len(frames) / count
    return [frames[int(step * (number + 0.5))] for number in range(count)]


def gathered(data: Path, frames: Sequence[Path], folder: Path) -> Path:
    """Link frames, labels and classes into a folder, as a labelling tool would export them."""
    for path in frames:
        label = data / 'labels' / f'{path.stem}.png'
        for kind, file in (('images', path), ('labels', label)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            link = folder / kind / file.name
            if not link.exists():
                link.symlink_to(file.resolve())
    if not (folder / 'classes.csv').exists():
        (folder / 'classes.csv').symlink_to((data / 'classes.csv').resolve())
    return folder


def taught(folder: Path, test: Path, out: Path, steps: int, changes: dict[str, Any]) -> dict[str, Any]:
    """Teach the network a folder, or go on with it; returns score and time."""
    runs, models = out / 'runs', out / 'models'
    name = f'{CARD}_{folder.name}'
    minutes = out / f'{name}.minutes.json'
    if not (models / f'{name}.yaml').exists():
        start, resume = time.process_time(), (runs / name / 'checkpoint.pt').exists()
        finetune(CARD, folder, runs, models, test=test, steps=steps, changes=changes, resume=resume)
        write_json(minutes, {'cpu_minutes': round((time.process_time() - start) / 60, 1)})
    card = read_card(models / f'{name}.yaml')
    return {
        'name': name,
        'miou': card.scores['mine_val_miou'],
        'before': card.scores.get('before'),
        'per_class': card.scores['per_class_iou'],
        'minutes': trained_minutes(runs / name),
    }


def main() -> None:
    """Train what is not trained yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('data', type=Path)
    parser.add_argument('-o', '--output', type=Path, required=True)
    parser.add_argument('--labels', type=int, nargs='+', default=[10, 20, 40, 60])
    parser.add_argument('--ways', nargs='+', default=WAYS, choices=WAYS)
    parser.add_argument('--steps', type=int, default=200)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--imagenet', action='store_true', help="begin with ImageNet's weights alone")
    parser.add_argument('--threads', type=int, default=max(os.cpu_count() or 1, 1))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    images = sorted((args.data / 'images').iterdir())
    scored = [path for place, path in enumerate(images) if place % TEST == FIRST]
    learned = [path for path in images if path not in scored]
    test = gathered(args.data, scored, args.output / 'test')
    cache: dict[str, Any] = {}
    rows = []
    for count in args.labels:
        for way in args.ways if count < len(learned) else ('all',):
            if way == 'picked':
                chosen = picked(args.data / 'drive.mp4', learned, count, cache)
            else:
                chosen = evenly(learned, count)
            begun = 'imagenet' if args.imagenet else 'shipped'
            called = f'{way}{count}_{begun}_{args.steps}_{args.seed}'
            folder = gathered(args.data, chosen, args.output / 'data' / called)
            changes = {'seed': args.seed} | ({'start': ''} if args.imagenet else {})
            row = taught(folder, test, args.output, args.steps, changes)
            rows.append({'labels': count, 'way': way, 'start': begun, 'steps': args.steps} | row)
            write_json(args.output / f'{called}.json', rows[-1])
            print(f'| {count} | {way} | {begun} | {args.steps} | {100 * row["miou"]:.1f} | '
                  f'{row["minutes"]:.1f} |', flush=True)  # fmt: skip


if __name__ == '__main__':
    main()
