"""What the shipped weights score: one command for every figure that README and cards state.

Examples:
  python -m experiments.accuracy_tables camvid/                  all tables, as Markdown
  python -m experiments.accuracy_tables camvid/ -o page.md --plot curves.png
  python -m experiments.accuracy_tables camvid/ --only per_frame schedulers
  python -m experiments.accuracy_tables camvid/ --only propagation --propagations my_flow --update
  python -m experiments.accuracy_tables camvid/ --full camvid_720/ --only full_size
  python -m simulator --seed 900 --drives 8 --frames 80 --varied -o varied
  python -m experiments.accuracy_tables camvid/ --drives varied --only varied_schedulers
"""

from __future__ import annotations

import argparse
import sys
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from tqdm import tqdm

from experiments.accuracy_page import DRAWN, Row, heading_of, page, picture, sections_of
from experiments.full_size import both_sizes
from experiments.pair_table import PairTable
from experiments.schedules import TrueDeviation, compare
from experiments.switches import switched_off
from vss_ros.datasets.folders import list_folders
from vss_ros.datasets.labelled import LabelledImages
from vss_ros.datasets.listing import open_listing
from vss_ros.engine.build import build_module, build_motion, part_card_name
from vss_ros.engine.device import CPU
from vss_ros.engine.layers.fuse import fuse_for_inference
from vss_ros.engine.model_card import ModelCard, has_card, read_card, shipped_cards
from vss_ros.engine.propagation import PROPAGATIONS, Propagation
from vss_ros.engine.propagation.base import Shapes
from vss_ros.engine.schedulers import SCHEDULERS, Scheduler
from vss_ros.errors import VssError
from vss_ros.evaluation.card_scores import per_frame_confusion
from vss_ros.evaluation.replay.propagation import deviation_rank_correlation, propagation_distance_accuracy
from vss_ros.files import write_json, write_text, write_whole
from vss_ros.images.classes import load_classes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.motion import MotionEstimator

M = TypeVar('M', bound=torch.nn.Module)

DEFAULT = 'efficientnet_lite0_fpn'
DISTANCES = (1, 2, 3, 5, 7, 9)
INTERVALS = (2, 3, 4, 5, 6, 8, 10)
SIZES = ((352, 480), (288, 384), (384, 512), (416, 544), (480, 640))
"""Multiples of the coarsest stride; the first is what 360x480 becomes by itself."""
FURTHEST = 16
"""Most frames between key frames when schedulers are compared."""
SCHEDULED = 'spatially_variant_conv'
"""What moves the features when schedulers are compared: the low-latency paper's own."""


class Measure:
    """One sequence and what is loaded for it.

    Args:
        video: Consecutive labelled frames.
        stride: Take every ``stride``-th frame as the current one of a pair.
        drives: Simulated ones of other speeds, each of consecutive labelled frames.
        only: Propagations whose curves are measured; empty for all.
        full: The frames of ``video`` at the camera's own size, with labels of that size.

    """

    def __init__(
        self,
        video: LabelledImages,
        stride: int = 1,
        drives: Sequence[LabelledImages] = (),
        only: Collection[str] = (),
        full: LabelledImages | None = None,
    ) -> None:
        """Remember them; backbones are loaded when they are asked for."""
        self.video, self.full = video, full
        self.only = only
        self.stride = stride
        self.drives = drives
        self._backbones: dict[str, Backbone] = {}

    def backbone(self, card: ModelCard) -> Backbone:
        """Return a card's network, in evaluation mode."""
        if card.name not in self._backbones:
            module = _ready(build_module(card))
            self._backbones[card.name] = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self._backbones[card.name]

    def propagations(self, card: ModelCard) -> Iterator[tuple[Propagation, str]]:
        """Yield what moves this backbone's features with shipped weights, or needs none, with its name."""
        backbone = self.backbone(card)
        for member in PROPAGATIONS:
            if self.only and member.name not in self.only:
                continue
            cls = PROPAGATIONS.get(member.name)
            moves: Propagation = cls(Shapes.of(backbone, cls.space))
            if any(True for _ in moves.parameters()):
                name = part_card_name(card, member.name)
                if not has_card(name):
                    continue
                moves = build_module(read_card(name))  # type: ignore[assignment]
            yield _ready(moves), member.name

    def curve(self, backbone: Backbone, moves: Propagation) -> dict[int, float]:
        """Return the PDA curve in per cent."""
        curve = propagation_distance_accuracy(
            backbone, moves, self.video, DISTANCES, stride=self.stride, motion=_motion(moves.motion)
        )
        return {distance: 100 * miou for distance, miou in curve.items()}


def per_frame(measure: Measure) -> Iterator[Row]:
    """Yield the mIoU of every shipped backbone, the whole network on each frame."""
    for card in tqdm(_backbone_cards(), desc='per frame', unit='model', leave=False):
        matrix = per_frame_confusion(measure.backbone(card), measure.video)
        yield {
            'model': card.name,
            'parameters': card.parameters,
            'mIoU': 100 * matrix.miou,
            'pixel accuracy': 100 * matrix.pixel_accuracy,
        }


def input_sizes(measure: Measure) -> Iterator[Row]:
    """Yield the default model's mIoU by the size at which the network sees the images (parameter size)."""
    backbone = measure.backbone(read_card(DEFAULT))
    for size in tqdm(SIZES, desc='input sizes', unit='size', leave=False):
        matrix = per_frame_confusion(backbone, measure.video, size)
        yield {
            'size': '{}x{}'.format(*size),
            'pixels': prod(size) / prod(SIZES[0]),
            'mIoU': 100 * matrix.miou,
        }


def full_size(measure: Measure) -> Iterator[Row]:
    """Yield mIoU from the camera's own images and from those of half the sides, by the labels of either."""
    if measure.full is not None:
        yield from both_sizes(measure.video, measure.full)


def propagation(measure: Measure) -> Iterator[Row]:
    """Yield the PDA curve of every propagation on every backbone it has weights for."""
    for card in _backbone_cards():
        backbone = measure.backbone(card)
        found = list(measure.propagations(card))
        if card.name != DEFAULT and not any(moves.switches for moves, _ in found):
            continue
        for moves, name in tqdm(found, desc=f'PDA of {card.name}', unit='propagation', leave=False):
            yield {'model': card.name, 'propagation': name} | _columns(measure.curve(backbone, moves))


def corrections(measure: Measure) -> Iterator[Row]:
    """Yield the PDA curves of the default model's propagations with their own correction switched off."""
    card = read_card(DEFAULT)
    backbone = measure.backbone(card)
    found = [(moves, name) for moves, name in measure.propagations(card) if moves.switches]
    for moves, name in tqdm(found, desc='corrections', unit='propagation', leave=False):
        yield {'propagation': name, 'without': ''} | _columns(measure.curve(backbone, moves))
        for correction in moves.switches:
            with switched_off(moves, correction):
                curve = measure.curve(backbone, moves)
            yield {'propagation': name, 'without': correction} | _columns(curve)


def schedulers(measure: Measure) -> Iterator[Row]:
    """Yield every scheduler's mIoU at the very key-frame rates of fixed intervals."""
    yield from _compared(measure, [measure.video])


def varied_schedulers(measure: Measure) -> Iterator[Row]:
    """Yield the same over simulated drives of varied speed, haze and traffic, one threshold for all."""
    if measure.drives:
        yield from _compared(measure, measure.drives)


def _compared(measure: Measure, drives: Sequence[LabelledImages]) -> Iterator[Row]:
    card = read_card(DEFAULT)
    moves = _ready(build_module(read_card(part_card_name(card, SCHEDULED))))
    assert isinstance(moves, Propagation)
    backbone = measure.backbone(card)
    members = _schedulers(backbone, card) | {'true deviation': TrueDeviation(backbone)}
    tables = [PairTable(backbone, moves, members, drive, FURTHEST, _motion('dis')) for drive in drives]
    found = list(tqdm(compare(tables, INTERVALS), desc='schedules', leave=False))
    fixed = {row['interval']: row['key_frame_rate'] for row in found if row['scheduler'] == 'fixed_interval'}
    rows: dict[Any, Row] = {}
    for row in found:
        miou = 100 * float(row['miou'])
        cells = rows.setdefault(row['scheduler'], {'scheduler': row['scheduler']})
        met = row['key_frame_rate'] == fixed[row['interval']]
        cells[f'every {row["interval"]}'] = (
            miou if met else f'{miou:.1f} (at rate {row["key_frame_rate"]:.3f})'
        )
    yield from rows.values()


def deviation(measure: Measure) -> Iterator[Row]:
    """Yield the rank correlation of each score with the true deviation, at distances 1 to 10."""
    card = read_card(DEFAULT)
    backbone = measure.backbone(card)
    for name, member in tqdm(_schedulers(backbone, card).items(), desc='deviation', leave=False):
        if member.weights_of:  # says what that scheduler says
            continue
        correlation = deviation_rank_correlation(
            backbone, member, measure.video, range(1, 11), stride=measure.stride, motion=_motion('dis')
        )
        yield {'scheduler': name, 'rank correlation': correlation}


TABLES = {
    table.__name__: table
    for table in (
        per_frame, input_sizes, full_size, propagation, corrections, schedulers, varied_schedulers, deviation
    )
}  # fmt: skip
HEADINGS = {name: heading_of(table.__doc__ or '') for name, table in TABLES.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    args = _parse(argv)
    before = args.output.read_text(encoding='utf-8') if args.update else ''
    try:
        sections_of(before)  # raises before an hour of measuring if it cannot be kept
        measure = Measure(
            _labelled(args.data, args.split),
            args.stride,
            _by_drive(_labelled(args.drives, 'images')) if args.drives else (),
            args.propagations,
            _labelled(args.full, args.split) if args.full else None,
        )
        tables = {name: list(TABLES[name](measure)) for name in args.only}
    except VssError as error:
        sys.exit(f'accuracy_tables: {error}')
    options = f' --drives DIR --split {args.split}' + ('' if args.stride == 1 else f' --stride {args.stride}')
    command = f'python -m experiments.accuracy_tables DIR{options} --full DIR -o experiments/docs/accuracy.md'
    text = page(tables, HEADINGS, command, before, args.propagations)
    write_text(args.output or Path('-'), text)
    if args.plot:
        write_whole(args.plot, picture(text, HEADINGS))
    write_json(args.json, tables)
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('data', type=Path, metavar='DIR', help='CamVid, with its split as a folder')
    parser.add_argument('--split', default='val', help='folder with consecutive frames (default: val)')
    parser.add_argument('--only', nargs='+', choices=TABLES, default=list(TABLES), metavar='TABLE')
    parser.add_argument(
        '--propagations',
        nargs='+',
        choices=[member.name for member in PROPAGATIONS],
        default=[],
        metavar='NAME',
        help='curves of these alone (default: of all)',
    )
    parser.add_argument('--stride', type=int, default=1, help='every n-th current frame only (default: 1)')
    text = 'simulated drives, named DRIVE_FRAME.png, for varied_schedulers'
    parser.add_argument('--drives', type=Path, metavar='DIR', help=text)
    text = "its frames and labels at the camera's own size"
    parser.add_argument('--full', type=Path, metavar='DIR', help=text)
    parser.add_argument('-o', '--output', type=Path, metavar='FILE', help='Markdown page (default: stdout)')
    parser.add_argument(
        '--update',
        action='store_true',
        help='keep the tables of FILE that --only leaves out, and the curves that --propagations does',
    )
    text = "also draw the page's curves as a picture (PNG)"
    parser.add_argument('--plot', type=Path, metavar='FILE', help=text)
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write the figures as JSON')
    args = parser.parse_args(argv)
    for name, option in (('varied_schedulers', 'drives'), ('full_size', 'full')):
        if args.only == [name] and not getattr(args, option):
            parser.error(f'{name} needs --{option} DIR')
    if args.update and not (args.output and args.output.is_file()):
        parser.error('--update needs -o FILE, a page that was made before')
    if args.plot and not (args.update or DRAWN.keys() & set(args.only)):
        parser.error(f'--plot needs one of the tables {", ".join(DRAWN)}')
    return args


def _labelled(root: Path, split: str | None) -> LabelledImages:
    """Open a folder's images that have labels in CamVid's classes, all in memory where they fit."""
    return open_listing(root, list_folders(root, split or '', load_classes('camvid11')))


def _by_drive(frames: LabelledImages) -> list[LabelledImages]:
    """Return a folder's drives, frames in the order they have there."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(frames.names):
        places.setdefault(name.rpartition('_')[0], []).append(place)
    short = [f'{drive} ({len(taken)})' for drive, taken in places.items() if len(taken) <= FURTHEST]
    if short:
        msg = f'expected drives of more than {FURTHEST} frames named DRIVE_FRAME.png, got {", ".join(short)}'
        raise VssError(msg)
    return [
        LabelledImages(
            [frames.images[i] for i in taken],
            [frames.labels[i] for i in taken],
            [frames.names[i] for i in taken],
        )
        for taken in places.values()
    ]


def _backbone_cards() -> list[ModelCard]:
    return [card for card in shipped_cards() if card.kind == 'backbone']


def _schedulers(backbone: Backbone, card: ModelCard) -> dict[str, Scheduler]:
    """Return the schedulers that judge frames by a score, those that learn with their weights."""
    found: dict[str, Scheduler] = {}
    for name in ('feature_threshold', 'flow_residual', 'predicted_deviation', 'accumulated_deviation'):
        member: Scheduler = SCHEDULERS.get(name)(backbone.low_channels)
        if any(True for _ in member.parameters()):
            trained = build_module(read_card(part_card_name(card, name)))  # checks what it was trained on
            member.load_state_dict(trained.state_dict())
        found[name] = member.eval().requires_grad_(False)
    return found


def _ready(module: M) -> M:
    """Return a module as it runs on the robot."""
    module.eval().requires_grad_(False)
    fuse_for_inference(module, CPU)
    return module


def _motion(name: str) -> MotionEstimator | None:
    return build_motion(name).eval() if name else None


def _columns(curve: dict[int, float]) -> Row:
    return {f'at {distance}': miou for distance, miou in curve.items()}


if __name__ == '__main__':
    sys.exit(main())
