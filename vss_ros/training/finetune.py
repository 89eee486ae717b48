"""Teaches a trained network the images that a team has labelled, of its own classes or others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from vss_ros.datasets.exported import find_exported, write_plain, write_table
from vss_ros.datasets.layouts import load_data
from vss_ros.datasets.listing import DataOptions, image_size
from vss_ros.engine.build import build_module
from vss_ros.engine.model_card import read_card, write_card
from vss_ros.engine.preprocess import network_size
from vss_ros.errors import VssError
from vss_ros.evaluation.card_scores import answers
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix
from vss_ros.files import whole_folder, write_text
from vss_ros.images.classes import load_classes
from vss_ros.training.recipe import STRIDE, read_recipe
from vss_ros.training.run import run_recipe

if TYPE_CHECKING:
    from pathlib import Path

    from vss_ros.engine.model_card import ModelCard

DATA = 'mine'
HELD_OUT = 10
"""One image of so many is not learned from, but scored on."""
EPOCHS, STEPS, BATCH = 40, 600, 8
MOST_CROP = (320, 448)
RATE, ENCODER_RATE = 1.5e-3, 3e-4
FEWEST = 2


def finetune(
    name: str,
    folder: Path,
    runs: Path,
    output: Path,
    *,
    test: Path | None = None,
    classes: str = '',
    steps: int = STEPS,
    changes: dict[str, Any] | None = None,
    **options: Any,
) -> ModelCard:
    """Write a recipe and its data to ``runs/NAME`` and train by it; returns the card.

    Args:
        name: Card of the network to begin with.
        folder: Labelled images, as a labelling tool has exported them.
        runs: Gets a folder ``CARD_FOLDER``.
        output: For card and weights.
        test: Labelled images to score on; None for every tenth of ``folder``.
        classes: Table of the labels, where nothing in the folder says what they mean.
        steps: Batches to learn from, however many images there are.
        changes: Keys of the recipe that shall be others.
        options: Of ``run_recipe``.

    Raises:
        VssError: The folder has no labels that can be read, or too few.
    """
    start = read_card(name)
    start.expect('backbone')
    model = f'{start.name}_{folder.resolve().name}'
    place = runs / model
    recipe = place / f'{model}.yaml'
    if not (options.get('resume') and recipe.is_file()):
        _write_data(start, folder, test, classes, place)
        write_text(recipe, _recipe(start, name, place, steps, changes or {}))
    (card,) = run_recipe(recipe, {DATA: place / 'data'}, runs, output, **options)
    return _beside_before(card, start, place, output)


def _write_data(start: ModelCard, folder: Path, test: Path | None, classes: str, place: Path) -> None:
    """Write ``data/`` and the classes: the card's own where the names are the same."""
    usual = load_classes(start.classes)
    found = find_exported(folder, classes, usual)
    place.mkdir(parents=True, exist_ok=True)
    with whole_folder(place / 'data') as data:
        trained, scored = write_plain(found, data, 0 if test else HELD_OUT)
        if test:
            held = find_exported(test, classes, usual)
            if held.table.names != found.table.names:
                raise VssError(f'{test}: expected the classes of {folder}, got {", ".join(held.table.names)}')
            scored, _ = write_plain(held, data / 'test', 0)
            (data / 'test' / 'train').rename(data / 'val')
            (data / 'test' / 'trainannot').rename(data / 'valannot')
    if trained < FEWEST or not scored:
        raise VssError(f'{folder}: expected {HELD_OUT} labelled images or more, got {trained + scored}')
    write_table(usual if found.table.names == usual.names else found.table, place / 'classes.yaml')


def _recipe(start: ModelCard, name: str, place: Path, steps: int, changes: dict[str, Any]) -> str:
    """Return the text of a recipe, with images scaled to the area that the network is used to."""
    images = sorted((place / 'data' / 'train').iterdir())
    size = network_size(image_size(images[0]), start.input_size, STRIDE)
    batch = min(BATCH, len(images))
    values = {
        'stage': 'backbone', 'model': place.name, 'start': name, 'backbone': start.builder,
        'classes': 'classes.yaml', 'epochs': EPOCHS, 'batch': batch,
        'images_per_epoch': -(-steps // EPOCHS) * batch,
        'crop': [min(side, most) for side, most in zip(size, MOST_CROP, strict=True)],
        'rate': RATE, 'encoder_rate': ENCODER_RATE, 'mixed': 0.3, 'logit_adjustment': 1.0,
        'evaluate_every': EPOCHS // 2,
        'data': {DATA: {'split': 'train', 'size': list(size)}}, 'evaluate': {DATA: {'split': 'val'}},
    }  # fmt: skip
    return str(yaml.safe_dump(values | changes, sort_keys=False, default_flow_style=None))


def _beside_before(card: ModelCard, start: ModelCard, place: Path, output: Path) -> ModelCard:
    """Return the card with what the network scored before.

    Where it answered other classes, each is read as that of the new ones which it meets most in training.
    """
    recipe, table = read_recipe(place / f'{place.name}.yaml'), load_classes(place / 'classes.yaml')
    options = recipe.data[DATA].model_dump(include={*DataOptions.model_fields}, exclude_unset=True)
    network: Any = build_module(start).eval()
    read_as = np.arange(len(table), dtype=np.uint8)
    if card.class_names != start.class_names:
        learned = load_data(place / 'data', DataOptions(**options), table)
        met = np.zeros((network.classes, len(table) + 1), np.int64)
        for labels, answer in answers(network, learned):
            np.add.at(met, (answer, labels), 1)
        read_as = met[:, :-1].argmax(1).astype(np.uint8)
    matrix = ConfusionMatrix(len(table), len(table))
    held = load_data(place / 'data', DataOptions(**options | {'split': 'val'}), table, scale_labels=False)
    for labels, answer in answers(network, held):
        matrix.add(labels, read_as[answer])
    before: dict[str, Any] = {f'{DATA}_val_miou': round(matrix.miou, 4)}
    if card.class_names != start.class_names:
        names = zip(start.class_names, read_as.tolist(), strict=True)
        before['read_as'] = {name: table.names[new] for name, new in names}
    card = card.model_copy(update={'scores': card.scores | {'before': before}})
    write_card(card, output)
    return card
