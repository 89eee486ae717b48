"""Fits a fast track to a network on recordings without labels: the network itself is the teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from vss_ros.engine.build import build_module
from vss_ros.engine.model_card import read_card, weights_path
from vss_ros.engine.option import written_size
from vss_ros.engine.runtimes.openvino import quantised_paths
from vss_ros.errors import VssError
from vss_ros.files import write_text, write_whole
from vss_ros.training.recipe import STRIDE
from vss_ros.training.run import run_recipe

if TYPE_CHECKING:
    from pathlib import Path

    from vss_ros.engine.model_card import ModelCard

FAST_TRACK = 'warp_and_repair'
EPOCHS, STEPS, BATCH = 10, 800, 12
REMEMBERED = 800
MOST_CROP = (320, 448)


def fit_fast_track(
    name: str, recordings: list[Path], runs: Path, output: Path, *, steps: int = STEPS, **options: Any
) -> ModelCard:
    """Write a recipe to ``runs/CARD.fast_track`` and train by it; returns the fast track's card.

    Args:
        name: Card of any network, a user's own file too.
        recordings: Videos, bags or folders of images.
        runs: Gets the folder with the recipe, checkpoints and curve.
        output: Gets the fast track's card beside the network's own, which is copied where it is not there.
        steps: Batches to learn from.
        options: Of ``run_recipe``.

    Raises:
        VssError: No such card, or recordings that cannot be used.
    """
    base = read_card(name)
    base.expect('backbone')
    _copy(base, output)
    place = runs / f'{base.name}.fast_track'
    place.mkdir(parents=True, exist_ok=True)
    recipe = place / f'{base.name}.{FAST_TRACK}.yaml'
    write_text(recipe, _recipe(base, len(recordings), steps))
    folders = {f'recording{number}': path for number, path in enumerate(recordings)}
    (card,) = run_recipe(recipe, folders, runs, output, **options)
    return card


def _copy(card: ModelCard, output: Path) -> None:
    """Put a card with its weights beside what is built on it."""
    source = weights_path(card)
    if (output / f'{card.name}.yaml').exists():
        return
    output.mkdir(parents=True, exist_ok=True)
    for path in (source, *quantised_paths(source), source.with_name(f'{card.name}.yaml')):
        if path.is_file():
            write_whole(output / path.name, path.read_bytes())


def _recipe(base: ModelCard, recordings: int, steps: int) -> str:
    """Return the text of a recipe whose crops the network's input holds."""
    network: Any = build_module(base)
    only = network.fixed_size
    if only and any(side % STRIDE for side in only):
        raise VssError(
            f'card {base.name}: expected a network that takes images of any size, or of multiples of '
            f'{STRIDE}, got one of {written_size(only)} alone; export it with dynamic sizes'
        )
    crop = only or [
        min(side // STRIDE * STRIDE, most) for side, most in zip(base.input_size, MOST_CROP, strict=True)
    ]
    share = {'share': round(1 / recordings, 4)}
    data = {f'recording{n}': {'pseudo_labels': True} | (share if n else {}) for n in range(recordings)}
    values = {
        'stage': 'pairs', 'model': base.name, 'propagations': [FAST_TRACK],
        'remembered': min(REMEMBERED, steps * BATCH), 'classes': base.classes,
        'epochs': EPOCHS, 'batch': BATCH, 'images_per_epoch': -(-steps // EPOCHS) * BATCH,
        'crop': list(crop), 'rate': 3e-3, 'weight_decay': 1e-4, 'distances': [1, 6], 'data': data,
    }  # fmt: skip
    return str(yaml.safe_dump(values, sort_keys=False, default_flow_style=None))
