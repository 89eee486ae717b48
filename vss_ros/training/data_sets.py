"""What a recipe trains on: data sets opened, and frames drawn from them three at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vss_ros.datasets.folders import has_folders
from vss_ros.datasets.labelled import LabelledImages, LabelledVideo
from vss_ros.datasets.layouts import load_data
from vss_ros.datasets.pairs import StillPairs, VideoPairs
from vss_ros.errors import VssError
from vss_ros.images.classes import ClassTable, load_classes
from vss_ros.training import processes
from vss_ros.training.pseudo_labels import pseudo_labelled

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

    from vss_ros.datasets.pairs import Triple
    from vss_ros.engine.backbones import Backbone
    from vss_ros.training.recipe import Recipe


Drawable = StillPairs | VideoPairs
"""What triples can be drawn from."""


def draw_triples(recipe: Recipe, data: Mapping[str, Drawable], rng: np.random.Generator) -> list[Triple]:
    """Return a batch of triples of sources by the recipe's names; the first fills what the others leave."""
    sources = list(data.values())
    others = [recipe.data[name].share for name in list(data)[1:]]
    shares = [1 - sum(others), *others]
    triples = []
    for _ in processes.part_of(range(recipe.batch)):
        source = sources[rng.choice(len(sources), p=shares)]
        index = int(rng.integers(len(source)))
        triples.append(source.draw(index, recipe.distances, recipe.crop, rng))
    return triples


def triple_sources(
    recipe: Recipe,
    data: Mapping[str, LabelledImages],
    folders: Mapping[str, Path],
    backbone: Backbone,
    size: tuple[int, int],
    watched: LabelledImages | None,
    *,
    with_flow: bool = False,
) -> dict[str, Drawable]:
    """Return the sources of a recipe's data entries, in their order; the first is the main one.

    An entry with ``pseudo_labels: true`` (and maybe ``confidence`` and ``frames``) is recordings that the
    frozen backbone labels here; one that is a video gives true motion; another gives stills in synthetic
    motion, which ``motion`` may vary (`Variety`).

    ``data`` are the labelled images by entry, ``folders`` where entries without labels lie. The backbone is
    trained, for ``size`` (height and width), and in evaluation mode. No pseudo-label may come from
    ``watched``. ``with_flow`` makes stills in motion carry their exact flow.

    Raises:
        VssError: Nonsense options, or recordings that cannot be used.
    """
    table = load_classes(recipe.classes)
    sources: dict[str, Drawable] = {}
    for name, options in recipe.data.items():
        if options.pseudo_labels:
            clips = () if watched is None else watched.clips()
            withheld = (image for clip in clips for image in clip.images)
            chosen = options.model_dump(include={'confidence', 'frames'})
            video = pseudo_labelled(backbone, folders[name], size, withheld=withheld, **chosen)
            sources[name] = VideoPairs(video)
        elif isinstance(images := data[name], LabelledVideo):
            sources[name] = VideoPairs(images)
        else:
            sources[name] = StillPairs(images, table, options.motion, with_flow=with_flow)
    return sources


def typical_drive(sources: Mapping[str, Drawable], interval: int) -> Drawable:
    """Return the first source of consecutive frames ``interval`` apart, the main one where none is.

    Stills are set in motion more violently than a vehicle is, so that propagations learn from it.
    """
    videos = (v for v in sources.values() if isinstance(v, VideoPairs) and v.furthest >= interval)
    return next(videos, next(iter(sources.values())))


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
    """Height and width of the main data set's first image, pixels; 0 where that has no labels."""


def check_named(recipe: Recipe, folders: Mapping[str, Path]) -> None:
    """Raise a VssError that names those of a recipe's data sets that lie nowhere, if any do."""
    absent = sorted({name for name in (*recipe.data, *recipe.evaluate) if name not in folders})
    if absent:
        raise VssError(
            f'expected --data NAME=DIR for {", ".join(absent)}, got {", ".join(folders) or "none"}'
        )


def open_data(recipe: Recipe, folders: Mapping[str, Path]) -> DataSets:
    """Open a recipe's data sets, which lie in ``folders`` by name.

    Raises:
        VssError: A data set lies nowhere, or is not what the recipe says.
    """
    check_named(recipe, folders)
    table = load_classes(recipe.classes)
    moving = recipe.stage != 'backbone'
    trained = {
        name: load_data(folders[name], options, table, moving=moving)
        for name, options in recipe.data.items()
        if not options.pseudo_labels
    }
    main = next(iter(recipe.data))
    if main not in trained and recipe.stage != 'pairs':  # in which the network itself is a teacher
        raise VssError(f'data {main}: expected a labelled data set first, got unlabelled recordings')
    height, width = trained[main].images[0].shape[:2] if main in trained else (0, 0)
    watched, name = _watched(recipe, folders, table)
    return DataSets(table, trained, watched, name, (height, width))


def _watched(
    recipe: Recipe, folders: Mapping[str, Path], table: ClassTable
) -> tuple[LabelledImages | None, str]:
    chosen = recipe.watches()
    if chosen is None:
        return None, ''
    name, options = chosen
    moving = recipe.stage != 'backbone'
    if moving and not options.layout and has_folders(folders[name], options.split):
        # There is nothing else a curve over distances could be measured on in such folders.
        options = options.model_copy(update={'layout': 'drives'})
    found = load_data(folders[name], options, table, moving=moving, scale_labels=False)
    if moving and not isinstance(found, LabelledVideo):
        raise VssError(
            f'evaluate {name}: expected labelled frames with those before them, got {len(found)} stills; '
            'state another layout or split'
        )
    return found, f'{name}_{options.split}' if options.split else name
