"""Learns temperatures that make a network's confidence true, by the age of an answer and its class.

Labelled stills are seen at the end of drives (real frames before them, or stills set in motion), after the
answer was carried along over so many frames. Of each age and group of classes that temperature is taken whose
confidence is nearest to 1 where the answer is right and to 0 where not, by the mean square (Brier score).
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vss_ros.datasets.layouts import load_data
from vss_ros.datasets.listing import DataOptions
from vss_ros.engine.confidence import Calibration, Group, confidence_upsampled
from vss_ros.engine.labels import argmax_upsampled
from vss_ros.engine.model_card import read_card, write_card
from vss_ros.evaluation.card_scores import clips_of, measure_calibration, parts_of, prefix_of
from vss_ros.evaluation.replay.propagation import each_distance
from vss_ros.images.classes import load_classes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from torch import Tensor

    from vss_ros.datasets.labelled import Clip
    from vss_ros.engine.model_card import ModelCard
    from vss_ros.engine.pipeline import Parts

AGES = (0, 1, 2, 4, 8, 16)
STILLS = 90
"""As many are looked at, evenly spread."""
PROPAGATIONS = ('flow_warp', 'warp_and_repair')
"""Those whose answers are calibrated, where the network has them."""
GRID = np.geomspace(0.3, 6, 25)
"""Temperatures that are tried."""
EVERY = 2
"""Only every so many-th pixel, down and across, is looked at."""


class _Squares:
    """Sums of squared errors of the confidence by age, answered class and temperature; true pixels."""

    def __init__(self, classes: int) -> None:
        self.errors: defaultdict[int, Any] = defaultdict(lambda: np.zeros((classes, len(GRID))))
        self.pixels = np.zeros(classes)

    def count(self, age: int, truth: NDArray[np.uint8], logits: Tensor, size: tuple[int, int]) -> None:
        classes = len(self.pixels)
        labels, true = (each[::EVERY, ::EVERY] for each in (argmax_upsampled(logits, size), truth))
        known = true < classes
        labels, right = labels[known], labels[known] == true[known]
        self.pixels += np.bincount(true[known], minlength=classes)
        for place, temperature in enumerate(GRID):
            sure = confidence_upsampled(logits, size, torch.full((classes,), temperature))
            error = (sure[::EVERY, ::EVERY][known] / 255.0 - right) ** 2
            self.errors[age][:, place] += np.bincount(labels, error, minlength=classes)


def calibrate_card(name: str, data_name: str, folder: Path) -> ModelCard:
    """Learn the temperatures of a network on the images that it was trained on, and write them to its card.

    Args:
        name: Of the card, or its path.
        data_name: What the card calls a data set that it was trained on, and maybe scored on.
        folder: Where that lies.

    Raises:
        VssError: No such card or data.
    """
    card = read_card(name)
    card.expect('backbone')
    stated = card.recipe.get('data', {}).get(data_name, {'split': 'train'})
    options = DataOptions(**{key: value for key, value in stated.items() if key in DataOptions.model_fields})
    table = load_classes(card.classes)
    data = load_data(folder, options, table, moving=False)
    made = {'command': f'vss train --calibrate {card.name} --data {data_name}=DIR', 'stills': STILLS}
    learned = {}
    for propagation, parts in parts_of(card, PROPAGATIONS):
        one = calibrate(parts, clips_of(data, table, max(AGES) + 1, STILLS), card.class_names)
        learned[propagation] = one.model_copy(update={'made': made})
    card = card.model_copy(update={'calibration': learned})
    if prefix := prefix_of(card, data_name):
        split = prefix.removeprefix(data_name).removeprefix('_')
        for propagation, scores in measure_calibration(card, folder, split, prefix).items():
            learned[propagation] = learned[propagation].model_copy(update={'scores': scores})
    write_card(card, Path(card.path).parent)
    return card


def calibrate(parts: Parts, clips: Iterable[Clip], names: tuple[str, ...]) -> Calibration:
    """Return the temperatures of a network whose answers a propagation carries along.

    Classes of more than the mean share of pixels are one group, the others another.

    Args:
        parts: Backbone, propagation and motion.
        clips: Frames up to a labelled one, longer than the largest of ``AGES``.
        names: Of the classes.
    """
    assert parts.propagation is not None
    sums = _Squares(len(names))
    each_distance(parts.backbone, parts.propagation, clips, AGES, sums.count, motion=parts.motion)
    common = sums.pixels >= sums.pixels.mean()
    groups = []
    for members in (common, ~common):
        found = [_lowest(sums.errors[age][members].sum(0)) for age in AGES]
        classes = tuple(name for name, is_member in zip(names, members, strict=True) if is_member)
        groups += [Group(classes=classes, temperatures=tuple(found))] if classes else []
    return Calibration(ages=AGES, groups=tuple(groups))


def _lowest(errors: NDArray[np.float64]) -> float:
    """Return the temperature of the least error: the lowest point of a parabola through three of them."""
    place = int(np.clip(errors.argmin(), 1, len(GRID) - 2))
    left, here, right = errors[place - 1 : place + 2]
    bend = left - 2 * here + right
    shift = float(np.clip((left - right) / (2 * bend), -1, 1)) if bend > 0 else 0.0
    return round(float(GRID[place] * (GRID[1] / GRID[0]) ** shift), 3)
