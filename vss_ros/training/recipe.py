"""A training recipe: what is trained on what, read from YAML and checked before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from vss_ros.datasets.layouts import LAYOUTS
from vss_ros.datasets.listing import FURTHEST, LARGEST_SIDE, DataOptions
from vss_ros.datasets.synthetic_motion import Variety
from vss_ros.engine.backbones import BACKBONES
from vss_ros.engine.motion import MOTIONS
from vss_ros.engine.options import SETTINGS
from vss_ros.engine.propagation import PROPAGATIONS
from vss_ros.engine.propagation.base import Space
from vss_ros.engine.schedulers import SCHEDULERS
from vss_ros.errors import VssError
from vss_ros.images.classes import load_classes
from vss_ros.schema import FROM_LIST, FileName, Schema, converted, read_yaml
from vss_ros.training.pseudo_labels import CONFIDENCE, FRAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from vss_ros.engine.registry import Registry
    from vss_ros.schema import Fault

Stage = Literal['backbone', 'pairs', 'motion']
STRIDE = 32
"""The largest stride of a backbone: other crops would be padded, and learned with the padding."""
IN_CARDS = ('teacher', 'hints', 'logit_adjustment', 'scales', 'light', 'mixed', 'interior', 'remembered')
"""Keys that a card repeats where they are not the usual."""
MOVING = ('motion', 'pseudo_labels', 'confidence', 'frames')
"""Options of a data set that say how it comes to move, see :mod:`vss_ros.training.data_sets`."""


class Only(NamedTuple):
    """Marks a key that other stages would ignore."""

    stages: tuple[Stage, ...]


StillsOnly, PairsOnly, MovingOnly = Only(('backbone',)), Only(('pairs',)), Only(('pairs', 'motion'))
TRAINABLE = [member.name for member in SCHEDULERS if member.cls.trainable]


def _valid(check: Callable[[Any], object]) -> AfterValidator:
    """Return a validator that keeps a value; the check's VssError becomes a fault."""
    return AfterValidator(converted(lambda value: (check(value), value)[1]).func)


def _member(registry: Registry[Any]) -> AfterValidator:
    return _valid(lambda name: registry.get(name) if name else None)


def _one_of(known: Iterable[str], why: str = '') -> AfterValidator:
    """Return a validator of a name; an empty one stands for none."""

    def check(name: str) -> None:
        if name and name not in known:
            raise VssError(f'expected one of: {", ".join(known)}, got {name!r}{why}')

    return _valid(check)


def _within(option: str) -> Any:
    lowest, highest = SETTINGS[option].bounds or (None, None)
    return Field(ge=lowest, le=highest)


def _trained_here(name: str) -> None:
    if name == 'external':
        raise VssError('external networks are trained where they come from; see: vss models add --help')


def _options(stated: object) -> object:
    """Return the options of a data set of which nothing, or the split alone, is written."""
    if stated is None:
        return {}
    return {'split': stated} if isinstance(stated, str) else stated


def _once(names: tuple[str, ...]) -> None:
    if len(set(names)) < len(names):
        raise VssError(f'expected a list of names, each once, got {", ".join(names)}')


def _rising(bounds: tuple[float, float]) -> None:
    if bounds[0] > bounds[1]:
        raise VssError(f'expected least and most, got {list(bounds)}')


Names = Annotated[tuple[Annotated[str, _member(PROPAGATIONS)], ...], FROM_LIST, _valid(_once)]
MotionNames = Annotated[tuple[Annotated[str, _member(MOTIONS)], ...], FROM_LIST, _valid(_once)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=10_000)]
CropSide = Annotated[int, Field(ge=STRIDE, le=LARGEST_SIDE, multiple_of=STRIDE)]
Zoom = Annotated[float, Field(ge=0.1, le=10)]
Distance = Annotated[int, Field(ge=1, le=FURTHEST)]


class ScoredOn(DataOptions):
    """An entry of ``evaluate``: how a data set is read."""

    layout: Annotated[str, _one_of(LAYOUTS)] = ''


class TrainedOn(ScoredOn):
    """An entry of ``data``: how a data set is read, when it is drawn from, and how it comes to move."""

    share: float = 0.0
    """Of each epoch; stated for all data sets but the first, which fills what they leave."""
    from_epoch: Annotated[int, Field(ge=0)] = 0
    """Stage ``backbone``: the epoch it begins at."""
    made_by: str = ''
    """A remark: the command that made it."""
    motion: Variety = Variety()
    """How stills are set in motion."""
    pseudo_labels: bool = False
    """Recordings that the backbone labels here."""
    confidence: Annotated[float, Field(gt=0, le=1)] = CONFIDENCE
    frames: Annotated[int, Field(ge=1)] = FRAMES


class Recipe(Schema):
    """One training stage; the fields are the keys of the YAML file."""

    stage: Stage
    """``backbone``, ``pairs`` (propagations and scheduler) or ``motion``."""
    model: FileName
    """Backbone card that is written (``backbone``), built on (``pairs``) or scored with (``motion``)."""
    backbone: Annotated[str, _valid(_trained_here), _member(BACKBONES)] = ''
    """Stage ``backbone``: the registered network."""
    classes: Annotated[str, _valid(load_classes)] = 'camvid11'
    """Class table in ``config/classes``, or another YAML file like those, by its path from the recipe."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    epochs: Count = 40
    batch: Annotated[int, Field(ge=1, le=1024)] = 8
    crop: Annotated[tuple[CropSide, CropSide], FROM_LIST] = (320, 448)
    """Height and width trained on, multiples of 32 pixels."""
    rate: Annotated[float, Field(ge=1e-7, le=1)] = 2e-3
    encoder_rate: Share = 6e-4
    weight_decay: Share = 0.02
    ema_decay: Annotated[float, Field(ge=0, le=0.99999)] = 0.998
    start: Annotated[str, StillsOnly] = ''
    """Card whose weights training begins with, empty for random or ImageNet weights."""
    teacher: Annotated[str, StillsOnly] = ''
    """Backbone card whose soft labels are learned beside the true ones, empty for none."""
    hints: Annotated[float, Field(ge=0, le=100), StillsOnly] = 0.0
    """Weight of the teacher's encoder features as targets of the network's own, for networks from random
    weights (:mod:`vss_ros.training.teacher`); 0 for none."""
    logit_adjustment: Annotated[Share, StillsOnly] = 0.0
    """Share of the loss's class weights that is taken back from the trained network's answers
    (``take_back`` of :mod:`vss_ros.training.teacher`)."""
    scales: Annotated[tuple[Zoom, Zoom], FROM_LIST, _valid(_rising), StillsOnly] = (0.7, 1.7)
    """Bounds of the views' random zoom."""
    light: Annotated[float, Field(ge=0, le=5), StillsOnly] = 1.0
    """Factor on how much the views' light varies."""
    mixed: Annotated[Share, StillsOnly] = 0.0
    """Share of the views onto which parts of another are pasted (``class_mix`` of stage 1)."""
    int8: Annotated[int, Field(ge=0, le=10_000), StillsOnly] = 0
    """Images of the first data set that int8 weights are calibrated with, 0 for no such weights
    (:mod:`vss_ros.training.quantise`)."""
    propagations: Annotated[Names, PairsOnly] = ()
    """Trained side by side on the same frames; they share nothing else."""
    scheduler: Annotated[str, _one_of(TRAINABLE, ': others need no training'), PairsOnly] = ''
    """A trainable scheduler or empty."""
    interior: Annotated[int, _within('interior'), PairsOnly] = 0
    """TWNet's interior layer at which the backbone is cut, 0 for its own."""
    motion: Annotated[str, _member(MOTIONS), PairsOnly] = 'dis'
    """Estimates the motion that propagations use."""
    remembered: Annotated[int, Field(ge=0, le=100_000), PairsOnly] = 0
    """Frames drawn once and learned from again and again, with the network's answers; 0: all are drawn anew.
    Only for propagations of logits that do not look at F_l (:mod:`vss_ros.training.remembered`)."""
    motions: Annotated[MotionNames, Only(('motion',))] = ()
    """Motion estimators trained side by side."""
    distances: Annotated[tuple[Distance, Distance], FROM_LIST, _valid(_rising), MovingOnly] = (2, 10)
    """Least and most frames between the first and the last of three."""
    images_per_epoch: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    """0, in stage ``backbone`` alone, for as many as the first data set has."""
    data: dict[str, Annotated[TrainedOn, BeforeValidator(_options)]] = Field(default_factory=dict)
    """What is trained on, by the names of ``--data NAME=DIR``; the first is the main data set."""
    evaluate: dict[str, Annotated[ScoredOn, BeforeValidator(_options)]] = Field(default_factory=dict)
    """One data set to score on, with its ``split`` (``{camvid: val}``) or options; what is not said here but
    in ``data`` under the same name holds as well."""
    evaluate_every: Count = 4

    def chosen(self) -> dict[str, Any]:
        """Return what a card shall say of how its weights came to be: such settings as are not the usual."""
        return self.model_dump(mode='json', include={*IN_CARDS}, exclude_defaults=True)

    def watches(self) -> tuple[str, DataOptions] | None:
        """Return name and reading of the data set that is evaluated on, None without one."""
        for name, stated in self.evaluate.items():
            reading: dict[str, Any] = {}
            if name in self.data:
                reading = self.data[name].model_dump(include={*DataOptions.model_fields}, exclude_unset=True)
            return name, DataOptions(**reading | {'every': 1} | stated.model_dump(exclude_unset=True))
        return None


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        VssError: Unknown or missing keys, wrong types, names that do not exist, values out of bounds or at
            odds with one another, all in one message.
    """
    document = read_yaml(path, 'recipe')
    values = document.values
    if not isinstance(values, dict):
        return document.checked(Recipe)
    stated = str(values.get('classes', ''))
    own = next((p for end in ('', '.yaml', '.yml') if (p := path.parent / f'{stated}{end}').is_file()), None)
    if own is not None:
        values['classes'] = str(own)
    return document.checked(Recipe, _faults(values))


def _faults(values: dict[str, Any]) -> Iterator[Fault]:
    """Yield what is at odds in a recipe; keys that are wrong by themselves are left to its fields."""
    wrong: set[str] = set()
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        wrong = {str(fault['loc'][0]) for fault in error.errors()}
        sound = {key: value for key, value in values.items() if str(key) not in wrong}
        recipe = Recipe.model_validate({'stage': 'backbone', 'model': 'any'} | sound)
    if 'stage' not in wrong:
        yield from _stage_faults(recipe, wrong)
    if 'data' not in wrong:
        yield from _data_faults(recipe)
        yield from _share_faults(recipe)
    if len(recipe.evaluate) > 1:
        yield ('evaluate',), f'expected one data set at most, got {", ".join(recipe.evaluate)}'
    for name, options in recipe.evaluate.items():
        trained = recipe.data.get(name)
        if trained and ('split' not in options.model_fields_set or options.split == trained.split):
            yield ('evaluate', name), 'expected another split than the one that is trained on'


def _stage_faults(recipe: Recipe, wrong: set[str]) -> Iterator[Fault]:
    stage, batch, images = recipe.stage, recipe.batch, recipe.images_per_epoch
    for key, field in Recipe.model_fields.items():
        foreign = any(isinstance(mark, Only) and stage not in mark.stages for mark in field.metadata)
        if foreign and key in recipe.model_fields_set and (getattr(recipe, key) or field.default):
            yield (key,), f'has no meaning in stage {stage}'
    needed = {
        'backbone': ('backbone', 'a network to train', recipe.backbone),
        'pairs': ('propagations', 'propagations or a scheduler', recipe.propagations or recipe.scheduler),
        'motion': ('motions', 'motion estimators', recipe.motions),
    }
    key, what, stated = needed[stage]
    if not stated and not wrong & {key, 'scheduler'}:
        yield (key,), f'expected {what}, got none: nothing to train'
    if images < batch and (stage != 'backbone' or images) and not wrong & {'images_per_epoch', 'batch'}:
        yield ('images_per_epoch',), f'expected at least a batch of {batch}, got {images}'
    if stage == 'backbone':
        yield from _stills_faults(recipe)
    if recipe.remembered and not wrong & {'remembered', 'propagations', 'scheduler'}:
        if recipe.remembered < batch:
            yield ('remembered',), f'expected at least a batch of {batch}, got {recipe.remembered}'
        named = [PROPAGATIONS.get(name) for name in recipe.propagations]
        if recipe.scheduler or any(
            c.needs_low or c.space is not Space.SEGMENTATION or not c.motion for c in named
        ):
            yield (
                ('remembered',),
                'expected propagations of logits along motion that ignore F_l, and no scheduler',
            )


def _stills_faults(recipe: Recipe) -> Iterator[Fault]:
    """Yield what is at odds in stage ``backbone`` alone."""
    for name, options in recipe.data.items():
        for key in MOVING:
            if key in options.model_fields_set:
                yield ('data', name, key), 'has no meaning in stage backbone'
    if recipe.hints and not recipe.teacher:
        yield ('hints',), 'hints need a teacher: expected a card as teacher, got none'
    if recipe.hints and recipe.backbone and not BACKBONES.get(recipe.backbone).encoder_stages:
        yield ('hints',), f'has no meaning for {recipe.backbone}: it names no encoder_stages'
    if recipe.mixed and (batch := recipe.batch) < 2:
        yield ('batch',), f'expected at least 2 views for mixed to paste from one onto another, got {batch}'


def _data_faults(recipe: Recipe) -> Iterator[Fault]:
    if not recipe.data:
        yield ('data',), 'expected data sets to train on, got none'
    for name, options in recipe.data.items():
        size = options.size or (LARGEST_SIDE, LARGEST_SIDE)
        if 'crop' in recipe.model_fields_set and any(c > s for c, s in zip(recipe.crop, size, strict=True)):
            yield ('crop',), f'expected at most the size {list(size)} of data {name}'


def _share_faults(recipe: Recipe) -> Iterator[Fault]:
    main, others = list(recipe.data)[:1], list(recipe.data)[1:]
    for name in main:
        for key in ('share', 'from_epoch'):
            if key in recipe.data[name].model_fields_set:
                yield ('data', name, key), 'has no meaning: the first data set fills what the others leave'
    shares = [recipe.data[name].share for name in others]
    if any(not 0 < share < 1 for share in shares) or sum(shares) >= 1:
        yield ('data',), f'expected shares above 0 and a sum below 1, got {shares} for {", ".join(others)}'
    for name in others:
        if (start := recipe.data[name].from_epoch) >= recipe.epochs:
            yield ('data', name, 'from_epoch'), f'expected an epoch of the training, got {start}'
