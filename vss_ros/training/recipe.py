"""A training recipe: what is trained on what, read from YAML and checked before anything runs."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import yaml

from vss_ros.datasets.listing import DataOptions
from vss_ros.errors import VssError
from vss_ros.training.recipe_checks import faults_of

if TYPE_CHECKING:
    from pathlib import Path

LISTS = ('crop', 'scales', 'distances', 'propagations', 'motions')

TOLD = ('teacher', 'hints', 'logit_adjustment', 'scales', 'light', 'mixed', 'interior')
"""Keys that a card repeats."""


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
    """Class table in ``config/classes``, or another YAML file like those, by its path from the recipe."""
    seed: int = 0
    epochs: int = 40
    batch: int = 8
    crop: tuple[int, int] = (320, 448)
    """Height and width trained on, multiples of 32 pixels."""
    rate: float = 2e-3
    encoder_rate: float = 6e-4
    weight_decay: float = 0.02
    ema_decay: float = 0.998
    start: str = ''
    """Stage ``backbone``: card whose weights training begins with, empty for random or ImageNet weights."""
    teacher: str = ''
    """Backbone card whose soft labels are learned beside the true ones, empty for none."""
    hints: float = 0.0
    """Weight of the teacher's encoder features as targets of the network's own, for networks from random
    weights (:mod:`vss_ros.training.teacher`); 0 for none."""
    logit_adjustment: float = 0.0
    """Stage ``backbone``: share of the loss's class weights that is taken back from the trained network's
    answers (:mod:`vss_ros.training.start`)."""
    scales: tuple[float, float] = (0.7, 1.7)
    """Stage ``backbone``: bounds of the views' random zoom."""
    light: float = 1.0
    """Stage ``backbone``: factor on how much the views' light varies."""
    mixed: float = 0.0
    """Stage ``backbone``: share of the views onto which parts of another are pasted
    (:mod:`vss_ros.training.still_batches`)."""
    propagations: tuple[str, ...] = ()
    """Stage ``pairs``: trained side by side on the same frames; they share nothing else."""
    scheduler: str = ''
    """Stage ``pairs``: ``predicted_deviation`` or empty."""
    interior: int = 0
    """Stage ``pairs``: TWNet's interior layer at which the backbone is cut, 0 for its own."""
    motion: str = 'dis'
    """Stage ``pairs``: estimates the motion that propagations look at."""
    motions: tuple[str, ...] = ()
    """Stage ``motion``: estimators trained side by side."""
    distances: tuple[int, int] = (2, 10)
    """Stages ``pairs`` and ``motion``: least and most frames between the first and the last of three."""
    images_per_epoch: int = 0
    """0, in stage ``backbone`` alone, for as many as the first data set has."""
    data: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What is trained on, by the names of ``--data NAME=DIR``: options of
    :class:`~vss_ros.datasets.layouts.DataOptions`, for all but the first a ``share`` of each epoch, in stage
    ``backbone`` the epoch ``from_epoch`` it begins at, and as a remark ``made_by``, a command."""
    evaluate: dict[str, dict[str, Any]] = field(default_factory=dict)
    """One data set to score on, with its ``split`` (``{camvid: val}``) or options; what is not said here but
    in ``data`` under the same name holds as well."""
    evaluate_every: int = 4

    def chosen(self) -> dict[str, Any]:
        """Return what a card shall say of how its weights came to be: such settings as are not the usual."""
        usual = {f.name: f.default for f in fields(self)}
        values = {name: getattr(self, name) for name in TOLD if getattr(self, name) != usual[name]}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def reads(self, name: str) -> DataOptions:
        """Return how a data set of ``data`` is read."""
        return _options(self.data[name])

    def watches(self) -> tuple[str, DataOptions] | None:
        """Return name and reading of the data set that is evaluated on, None without one."""
        for name, stated in self.evaluate.items():
            inherited = {k: v for k, v in self.data.get(name, {}).items() if k != 'every'}
            return name, _options(inherited | stated)
        return None


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        VssError: Unknown or missing keys, wrong types, names that do not exist, values out of bounds or at
            odds with one another, all in one message.

    """
    try:
        raw = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        msg = f'{path}: not a readable recipe: {error}'
        raise VssError(msg) from error
    if not isinstance(raw, dict):
        msg = f'{path}: expected a mapping with keys {", ".join(f.name for f in fields(Recipe))}'
        raise VssError(msg)
    for kind, brief in (('data', None), ('evaluate', 'split')):
        if isinstance(raw.get(kind), dict):
            raw[kind] = {str(name): _spelled_out(value, brief) for name, value in raw[kind].items()}
    own_table = path.parent / str(raw.get('classes', ''))
    if own_table.is_file():
        raw['classes'] = str(own_table)
    faults = faults_of(raw, fields(Recipe))
    if faults:
        msg = f'{path}: {"; ".join(faults)}'
        raise VssError(msg)
    values: dict[str, Any] = {key: tuple(value) if key in LISTS else value for key, value in raw.items()}
    return Recipe(**values)


def _spelled_out(value: object, brief: str | None) -> object:
    """Return a data set's options where nothing, or its split alone, was written."""
    if value is None:
        return {}
    return {brief: value} if brief and isinstance(value, str) else value


def _options(stated: dict[str, Any]) -> DataOptions:
    """Return what concerns reading."""
    known = {f.name for f in fields(DataOptions)}
    values: dict[str, Any] = {
        key: tuple(value) if key == 'size' else value for key, value in stated.items() if key in known
    }
    return DataOptions(**values)
