"""Where triples come from: stills set in motion, consecutive labelled frames, video with pseudo-labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vss_ros.data.classes import load_classes
from vss_ros.data.labelled import LabelledImages, LabelledVideo
from vss_ros.data.pairs import StillPairs
from vss_ros.data.synthetic_motion import Variety
from vss_ros.data.video_pairs import VideoPairs
from vss_ros.training.pseudo_labels import pseudo_labelled

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vss_ros.engine.backbones import Backbone
    from vss_ros.training.recipe import Recipe
    from vss_ros.training.triples import Drawable


def is_unlabelled(options: Mapping[str, Any]) -> bool:
    """Say whether a recipe's data entry names recordings that the backbone is to label."""
    return bool(options.get('pseudo_labels'))


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

    Args:
        recipe: Its ``data`` and ``classes`` are looked at.
        data: Labelled images by entry.
        folders: Where entries without labels lie.
        backbone: Trained, in evaluation mode.
        size: Height and width it was trained for.
        watched: What scores are measured on, which no pseudo-label may come from.
        with_flow: Whether stills in motion carry their exact flow.

    Raises:
        VssError: Nonsense options, or recordings that cannot be used.

    """
    table = load_classes(recipe.classes)
    sources: dict[str, Drawable] = {}
    for name, options in recipe.data.items():
        if is_unlabelled(options):
            limits = {key: options[key] for key in ('confidence', 'frames') if key in options}
            clips = () if watched is None else watched.clips()
            withheld = (image for clip in clips for image in clip.images)
            video = pseudo_labelled(backbone, folders[name], size, withheld=withheld, **limits)
            sources[name] = VideoPairs(video)
        elif isinstance(images := data[name], LabelledVideo):
            sources[name] = VideoPairs(images)
        else:
            variety = Variety.parse(options.get('motion', {}), f'data {name}')
            sources[name] = StillPairs(images, table, variety, with_flow=with_flow)
    return sources


def typical_drive(sources: Mapping[str, Drawable], interval: int) -> Drawable:
    """Return the first source of consecutive frames ``interval`` apart, the main one where none is.

    Stills are set in motion more violently than a vehicle is, so that propagations learn from it.
    """
    videos = (v for v in sources.values() if isinstance(v, VideoPairs) and v.furthest >= interval)
    return next(videos, next(iter(sources.values())))
