"""A training recipe: what is trained on what, read from YAML and checked before anything runs."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import yaml

from vss_ros.errors import VssError

if TYPE_CHECKING:
    from pathlib import Path

BOUNDS = {
    'epochs': (1, 10_000),
    'batch': (1, 1024),
    'rate': (1e-7, 1.0),
    'encoder_rate': (0.0, 1.0),
    'weight_decay': (0.0, 1.0),
    'ema_decay': (0.0, 0.99999),
    'evaluate_every': (1, 10_000),
    'images_per_epoch': (0, 10_000_000),
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training stage; the fields are the keys of the YAML file."""

    stage: str
    """``backbone``, ``pairs`` (propagations and scheduler) or ``motion``."""
    model: str
    """Backbone card that is written (``backbone``), built on (``pairs``) or scored with (``motion``)."""
    backbone: str = ''
    """Stage ``backbone``: the registered network."""
    classes: str = 'camvid11'
    seed: int = 0
    epochs: int = 40
    batch: int = 8
    crop: tuple[int, int] = (320, 448)
    rate: float = 2e-3
    encoder_rate: float = 6e-4
    weight_decay: float = 0.02
    ema_decay: float = 0.998
    teacher: str = ''
    """Backbone card whose soft labels are learned beside the true ones, empty for none."""
    propagations: tuple[str, ...] = ()
    """Stage ``pairs``: trained side by side on the same frames; they share nothing else."""
    scheduler: str = ''
    """Stage ``pairs``: ``predicted_deviation`` or empty."""
    motion: str = 'dis'
    """Stage ``pairs``: estimates the motion that propagations look at."""
    motions: tuple[str, ...] = ()
    """Stage ``motion``: estimators trained side by side."""
    distances: tuple[int, int] = (2, 10)
    images_per_epoch: int = 0
    data: dict[str, dict[str, Any]] = field(default_factory=dict)
    evaluate: dict[str, str] = field(default_factory=dict)
    evaluate_every: int = 4


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        VssError: Unknown or missing keys, wrong types, or values out of bounds, all in one message.

    """
    try:
        raw = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        msg = f'{path}: not a readable recipe: {error}'
        raise VssError(msg) from error
    known = {f.name: f for f in fields(Recipe)}
    if not isinstance(raw, dict):
        msg = f'{path}: expected a mapping with keys {", ".join(known)}'
        raise VssError(msg)
    faults = [f'unknown key {key!r}' for key in raw if key not in known]
    faults += [f'missing key {key!r}' for key in ('stage', 'model') if key not in raw]
    for key, (low, high) in BOUNDS.items():
        value = raw.get(key, low)
        if not isinstance(value, int | float) or not low <= value <= high:
            faults.append(f'{key} is {value!r}, expected a number from {low} to {high}')
    for key in ('crop', 'distances'):
        if key in raw and not (
            isinstance(raw[key], list)
            and len(raw[key]) == 2
            and all(isinstance(v, int) and v > 0 for v in raw[key])
        ):
            faults.append(f'{key} is {raw[key]!r}, expected two positive integers')
    if faults:
        msg = f'{path}: {"; ".join(faults)}'
        raise VssError(msg)
    lists = ('crop', 'distances', 'propagations', 'motions')
    values: dict[str, Any] = {key: tuple(value) if key in lists else value for key, value in raw.items()}
    return Recipe(**values)
