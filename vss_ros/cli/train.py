"""Train what recipes describe, one after the other; writes model cards with their weights.

A stopped run continues with --resume. All keys of a recipe: docs/recipes.md

Examples:
  vss train config/experiments/lernet.yaml --data camvid=data/camvid --data street=data/street
  vss train config/experiments/efficientnet_lite0_fpn.{first.yaml,yaml} --data camvid=DIR --data street=DIR
  vss train config/experiments/efficientnet_lite0_fpn.pairs.yaml --data camvid=DIR --data drives=DIR --resume
  vss train config/experiments/efficientnet_lite0_fpn_cityscapes.yaml --data cityscapes=DIR
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from vss_ros.cli.common import add_json_argument, add_option
from vss_ros.command_line import add
from vss_ros.errors import VssError
from vss_ros.files import write_json

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    text = 'a YAML file of config/experiments; of several, each may build on what those before it wrote'
    add(parser, 'recipes RECIPE', text, nargs='+')
    text = "where a recipe's data set lies; a bag or video may be a file"
    add(parser, '--data NAME=DIR', text, [], action='append')
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

    from vss_ros.training.computing import keep_freed_memory
    from vss_ros.training.data_sets import check_named
    from vss_ros.training.recipe import read_recipe
    from vss_ros.training.run import run_recipe

    if args.threads:
        torch.set_num_threads(args.threads)
    keep_freed_memory()
    folders = dict(named_data(text) for text in args.data)
    for path in args.recipes:  # an hour before the last one's turn
        check_named(read_recipe(path), folders)
    options = {'resume': args.resume, 'compiled': args.compile, 'device': args.device}
    runs = (run_recipe(path, folders, args.runs, args.output, **options) for path in args.recipes)
    cards = chain.from_iterable(runs)
    write_json(args.json, {card.name: card.scores for card in cards})
    return 0


def named_data(text: str) -> tuple[str, Path]:
    """Return name and place of a data set from ``NAME=DIR``.

    Raises:
        VssError: Another form, or nothing is there.
    """
    name, equals, folder = text.partition('=')
    if not equals or not Path(folder).exists():
        raise VssError(f'--data {text}: expected NAME=DIR with an existing folder or file')
    return name, Path(folder)
