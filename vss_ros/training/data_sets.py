"""The data sets a recipe names, opened: what is trained on, and what is scored on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vss_ros.data.classes import ClassTable, load_classes
from vss_ros.data.folders import has_folders
from vss_ros.data.labelled import LabelledImages, LabelledVideo
from vss_ros.data.layouts import load_data
from vss_ros.errors import VssError
from vss_ros.training.sources import is_unlabelled

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vss_ros.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class DataSets:
    """Everything labelled that one training looks at."""

    classes: ClassTable
    """What all labels mean; void is their number."""
    trained: dict[str, LabelledImages]
    """By the recipe's names, unlabelled recordings left out."""
    watched: LabelledImages | None
    """What scores are measured on; labels at their own resolution."""
    watched_name: str
    """Such as ``camvid_val``: begins the names of scores."""
    size: tuple[int, int]
    """Height and width of the main data set's first image, pixels."""


def check_named(recipe: Recipe, folders: Mapping[str, Path]) -> None:
    """Check that all of a recipe's data sets lie somewhere.

    Raises:
        VssError: Some do not; names them.

    """
    absent = sorted({name for name in (*recipe.data, *recipe.evaluate) if name not in folders})
    if absent:
        raise VssError(
            f'expected --data NAME=DIR for {", ".join(absent)}, got {", ".join(folders) or "none"}'
        )


def open_data(recipe: Recipe, folders: Mapping[str, Path]) -> DataSets:
    """Open a recipe's data sets.

    Args:
        recipe: Checked.
        folders: Where they lie, by name.

    Raises:
        VssError: A data set lies nowhere, or is not what the recipe says.
    """
    check_named(recipe, folders)
    table = load_classes(recipe.classes)
    moving = recipe.stage != 'backbone'
    trained = {
        name: load_data(folders[name], recipe.reads(name), table, moving=moving)
        for name, options in recipe.data.items()
        if not is_unlabelled(options)
    }
    main = next(iter(recipe.data))
    if main not in trained:
        raise VssError(f'data {main}: expected a labelled data set first, got unlabelled recordings')
    height, width = trained[main].images[0].shape[:2]
    watched, name = _watched(recipe, folders, table)
    return DataSets(table, trained, watched, name, (height, width))


def _watched(
    recipe: Recipe, folders: Mapping[str, Path], table: ClassTable
) -> tuple[LabelledImages | None, str]:
    """Open what is scored on, where the stage needs it with the frames before the labelled ones."""
    chosen = recipe.watches()
    if chosen is None:
        return None, ''
    name, options = chosen
    moving = recipe.stage != 'backbone'
    if moving and not options.layout and has_folders(folders[name], options.split):
        # There is nothing else a curve over distances could be measured on in such folders.
        options = replace(options, layout='drives')
    found = load_data(folders[name], options, table, moving=moving, scale_labels=False)
    if moving and not isinstance(found, LabelledVideo):
        raise VssError(
            f'evaluate {name}: expected labelled frames with those before them, got {len(found)} stills; '
            'state another layout or split'
        )
    return found, f'{name}_{options.split}' if options.split else name
