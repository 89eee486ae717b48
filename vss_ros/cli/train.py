"""Train what recipes describe, one after the other; writes model cards with their weights.

A stopped run continues with --resume. All keys of a recipe: docs/recipes.md

Examples:
  vss train config/experiments/lernet.yaml --data camvid=data/camvid --data street=data/street
  vss train config/experiments/efficientnet_lite0_fpn.{first.yaml,yaml} --data camvid=DIR --data street=DIR
  vss train config/experiments/efficientnet_lite0_fpn.pairs.yaml --data camvid=DIR --data drives=DIR --resume
  vss train config/experiments/efficientnet_lite0_fpn_cityscapes.yaml --data cityscapes=DIR
  torchrun --nproc-per-node 4 -m vss_ros.cli.main train config/experiments/lernet.yaml --data ...   four GPUs
  vss train --finetune efficientnet_lite0_fpn --data labelled/ -o mine      what a labelling tool has exported
  vss train --fast-track-for my_network --data drive.mcap -o mine           a fast track; no labels needed
  vss train --calibrate my_network --data mine=DIR      makes ~/confidence true, and says so in the card
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vss_ros.cli.common import add_json_argument, add_option
from vss_ros.command_line import add
from vss_ros.errors import VssError
from vss_ros.files import write_json

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    text = 'a YAML file of config/experiments; of several, each may build on what those before it wrote'
    add(parser, 'recipes RECIPE', text, nargs='*')
    text = "where a recipe's data set lies; a bag or video may be a file. With --finetune one folder, with "
    text += '--fast-track-for recordings'
    add(parser, '--data NAME=DIR', text, [], action='append')
    text = 'in place of recipes: teach this network labelled images of your own, of its classes or others'
    add(parser, '--finetune CARD', text)
    add(parser, '--test DIR', 'of --finetune: labelled images to score on (default: every tenth of --data)')
    add(parser, '--classes TABLE', 'of --finetune: what labels mean, where nothing in the folder says it', '')
    text = 'in place of recipes: fit warp_and_repair to this network on recordings without labels'
    add(parser, '--fast-track-for CARD', text)
    text = 'in place of recipes: learn how sure this network may be, on a data set that it was trained on'
    add(parser, '--calibrate CARD', text)
    add(
        parser,
        '--steps N',
        'of --finetune and --fast-track-for: batches to learn from (default: 600, 800)',
        0,
    )
    add(parser, '--runs', 'checkpoints and curves go to RUNS/<recipe>', Path('runs'))
    add(parser, '-o --output', 'cards and weights', Path('models'))
    add_option(parser, 'device')
    add_option(parser, 'threads', 'CPU threads, 0 for all (default: 0)')
    add(parser, '--resume', 'continue from the last checkpoint')
    text = 'fuse the backbone with torch.compile (needs a C++ compiler)'
    add(parser, '--compile', f'{text}: a minute first, then up to a fifth less time')
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Train; returns the exit status."""
    import torch

    from vss_ros.training import processes
    from vss_ros.training.computing import keep_freed_memory

    if args.threads:
        torch.set_num_threads(args.threads)
    keep_freed_memory()
    ways = [bool(way) for way in (args.recipes, args.finetune, args.fast_track_for, args.calibrate)]
    alone = (args.finetune or args.calibrate) and len(args.data) != 1
    if sum(ways) != 1 or (not args.recipes and not args.data) or alone:
        raise VssError(
            'expected recipes, or --finetune CARD with one --data FOLDER, or --fast-track-for CARD with '
            '--data RECORDING, or --calibrate CARD with one --data NAME=DIR'
        )
    if args.calibrate:
        return _calibrate(args)
    with processes.joined(args.device) as device:
        scores = _train(args, {'resume': args.resume, 'compiled': args.compile, 'device': device})
        if processes.number() == 0:
            write_json(args.json, scores)
    return 0


def _train(args: argparse.Namespace, options: dict[str, Any]) -> dict[str, Any]:
    """Train what the arguments say; returns the scores of the cards that were written, by name."""
    from vss_ros.training import processes
    from vss_ros.training.data_sets import check_named
    from vss_ros.training.fast_track import fit_fast_track
    from vss_ros.training.finetune import finetune
    from vss_ros.training.recipe import read_recipe
    from vss_ros.training.run import run_recipe

    if args.recipes:
        folders = dict(named_data(text) for text in args.data)
        for path in args.recipes:  # an hour before the last one's turn
            check_named(read_recipe(path), folders)
        runs = (run_recipe(path, folders, args.runs, args.output, **options) for path in args.recipes)
        return {card.name: card.scores for card in chain.from_iterable(runs)}
    options |= {'steps': args.steps} if args.steps else {}
    given = [Path(text) for text in args.data]
    if args.finetune:
        more = {'test': args.test, 'classes': args.classes}
        card = finetune(args.finetune, given[0], args.runs, args.output, **more, **options)
    else:
        card = fit_fast_track(args.fast_track_for, given, args.runs, args.output, **options)
    if processes.number() == 0:
        print(f'{args.output / card.name}.yaml{_said(card.scores)}')
    return {card.name: card.scores}


def _calibrate(args: argparse.Namespace) -> int:
    from vss_ros.training.calibrate import calibrate_card

    card = calibrate_card(args.calibrate, *named_data(args.data[0]))
    for propagation, learned in card.calibration.items():
        for name, errors in learned.scores.items():
            shares = ', '.join(f'{kind} {100 * error:.1f} %' for kind, error in errors.items())
            print(f'{card.path}, {propagation}: {name} {shares}')
    write_json(args.json, {name: learned.model_dump() for name, learned in card.calibration.items()})
    return 0


def _said(scores: dict[str, Any]) -> str:
    """Return mIoU on what was held out, and what it was before where the classes are the same."""
    if not scores:
        return ''
    (name, miou), before = next(iter(scores.items())), scores.get('before', {})
    return f': mIoU {100 * miou:.1f}' + (f', before {100 * before[name]:.1f}' if before else '')


def named_data(text: str) -> tuple[str, Path]:
    """Return name and place of a data set from ``NAME=DIR``.

    Raises:
        VssError: Another form, or nothing is there.
    """
    name, equals, folder = text.partition('=')
    if not equals or not Path(folder).exists():
        raise VssError(f'--data {text}: expected NAME=DIR with an existing folder or file')
    return name, Path(folder)
