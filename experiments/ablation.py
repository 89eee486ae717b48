"""What each part of a training adds: recipes that differ in one thing, trained alike, in one table.

Examples:
  python -m experiments.ablation config/experiments/ablation.yaml --data camvid=DIR … -o ablation
  python -m experiments.ablation FILE --data camvid=DIR -o try --only stills --steps 2    does it run?
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, Any

import torch
import yaml

from vss_ros.cli.train import named_data
from vss_ros.engine.model_card import read_card
from vss_ros.errors import VssError
from vss_ros.files import write_json, write_text
from vss_ros.training.recipe import read_recipe
from vss_ros.training.run import run_recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vss_ros.engine.model_card import ModelCard

Recipes = dict[str, dict[str, Any]]


def read_ablation(path: Path) -> Recipes:
    """Return the recipes of an ablation by name, each ``base`` with a configuration's own keys put over.

    Raises:
        VssError: The file is not readable, or not laid out so.

    """
    try:
        raw = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise VssError(f'{path}: not a readable ablation: {error}') from error
    base, named = (raw.get('base', {}), raw.get('configurations')) if isinstance(raw, dict) else ({}, None)
    if (
        not isinstance(base, dict)
        or not isinstance(named, dict)
        or not named
        or not all(isinstance(own, dict) for own in named.values())
    ):
        raise VssError(
            f'{path}: expected keys base and configurations, each a mapping, got {str(raw)[:80]!r}; compare '
            'config/experiments/ablation.yaml'
        )
    return {str(name): base | own for name, own in named.items()}


def run_ablation(
    recipes: Recipes, folders: dict[str, Path], models: Path, output: Path, device: str = 'auto'
) -> list[dict[str, Any]]:
    """Train and score every recipe, going on where a former run stopped; return one row for each part.

    Everything of a recipe lies in ``output``: ``NAME.yaml``, and in the folder ``NAME`` checkpoint, curve,
    cards and weights.

    Args:
        recipes: By name.
        folders: Where the data sets lie, by name.
        models: Holds the card and weights the recipes build on.
        output: Where the results go.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        VssError: A bad recipe, or one that is no longer what was trained under its name.

    """
    output.mkdir(parents=True, exist_ok=True)
    paths = {name: _write_recipe(recipe, output / f'{_slug(name)}.yaml') for name, recipe in recipes.items()}
    for path in paths.values():
        read_recipe(path)  # all faults before the first training
    rows = []
    for name, path in paths.items():
        print(f'--- {name}', file=sys.stderr)
        rows += [_row(name, card) for card in _trained(path, folders, models, output, device)]
        write_text(output / 'table.md', table(rows))
        write_json(output / 'table.json', rows)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as Markdown; mIoU in per cent."""
    distances = list(rows[0]['pda'])
    columns = ['per frame' if distance == '0' else f'at {distance}' for distance in distances]
    head = ['configuration', 'part', *columns, 'minutes']
    lines = [
        [row['configuration'], row['part'], *(f'{100 * v:.1f}' for v in row['pda'].values()), row['minutes']]
        for row in rows
    ]
    ruler = ['---'] * 2 + ['---:'] * (len(columns) + 1)
    return ''.join(f'| {" | ".join(map(str, line))} |\n' for line in (head, ruler, *lines))


def _write_recipe(recipe: dict[str, Any], path: Path) -> Path:
    """Write a recipe, or find the one that was written when its training began.

    Raises:
        VssError: That was another.

    """
    if path.is_file() and yaml.safe_load(path.read_text(encoding='utf-8')) != recipe:
        raise VssError(
            f'{path}: expected the recipe this training began with, got another; remove it and the folder '
            f'{path.stem} to train anew, or choose another name'
        )
    if not path.is_file():
        write_text(path, yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True))
    return path


def _trained(
    path: Path, folders: dict[str, Path], models: Path, output: Path, device: str
) -> list[ModelCard]:
    """Return the cards of a recipe's parts, trained now where they have not been."""
    recipe, folder = read_recipe(path), output / path.stem
    parts = [folder / f'{recipe.model}.{name}.yaml' for name in recipe.propagations]
    if not all(part.is_file() for part in parts):
        folder.mkdir(exist_ok=True)
        for suffix in ('.yaml', '.safetensors'):
            copyfile(models / f'{recipe.model}{suffix}', folder / f'{recipe.model}{suffix}')
        run_recipe(path, folders, output, folder, resume=True, device=device)
    return [read_card(part) for part in parts]


def _row(name: str, card: ModelCard) -> dict[str, Any]:
    curve = next(score for key, score in card.scores.items() if key.endswith('_pda'))
    return {
        'configuration': name,
        'part': card.builder,
        'pda': {str(distance): miou for distance, miou in curve.items()},
        'minutes': card.recipe['wall_minutes'],
        'recipe': card.recipe,
    }


def _slug(name: str) -> str:
    return re.sub(r'[^a-z0-9]+', '_', name.lower()).strip('_')


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        'python -m experiments.ablation',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'ablation', type=Path, help='a YAML file laid out like config/experiments/ablation.yaml'
    )
    parser.add_argument('--data', action='append', default=[], metavar='NAME=DIR', help='as for vss train')
    parser.add_argument('--models', type=Path, default=Path('models'), help='the backbone lies there')
    parser.add_argument('-o', '--output', type=Path, required=True, help='tables and everything trained')
    parser.add_argument('--only', nargs='+', metavar='NAME', help='these configurations alone')
    parser.add_argument('--steps', type=int, help='one epoch of so many steps, to see whether it runs')
    parser.add_argument('--device', default='auto', help='as for vss train (default: auto)')
    parser.add_argument('--threads', type=int, default=0, help='CPU threads, 0 for all (default: 0)')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _arguments(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        recipes = read_ablation(options.ablation)
        unknown = set(options.only or ()) - set(recipes)
        if unknown:
            raise VssError(f'--only: expected names among {list(recipes)}, got {sorted(unknown)}')
        chosen = {name: recipe for name, recipe in recipes.items() if name in (options.only or recipes)}
        if options.steps:
            short = {'epochs': 1, 'evaluate_every': 1000}
            chosen = {
                name: recipe | short | {'images_per_epoch': options.steps * recipe.get('batch', 8)}
                for name, recipe in chosen.items()
            }
        folders = dict(named_data(text) for text in options.data)
        print(table(run_ablation(chosen, folders, options.models, options.output, options.device)), end='')
    except VssError as error:
        sys.stderr.write(f'{error}\n')
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
