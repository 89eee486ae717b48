"""What makes no sense in a recipe, told before anything runs and all at once."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from vss_ros.datasets.layouts import LAYOUTS
from vss_ros.datasets.listing import FURTHEST, DataOptions
from vss_ros.engine.backbones import BACKBONES
from vss_ros.engine.motion import MOTIONS
from vss_ros.engine.propagation import PROPAGATIONS
from vss_ros.engine.schedulers import SCHEDULERS
from vss_ros.errors import VssError
from vss_ros.images.classes import load_classes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from dataclasses import Field

    from vss_ros.engine.registry import Registry

STAGES = ('backbone', 'pairs', 'motion')
BOUNDS: dict[str, tuple[float, float]] = {
    'seed': (0, 2**32 - 1),
    'epochs': (1, 10_000),
    'batch': (1, 1024),
    'rate': (1e-7, 1.0),
    'encoder_rate': (0.0, 1.0),
    'weight_decay': (0.0, 1.0),
    'ema_decay': (0.0, 0.99999),
    'interior': (0, 3),
    'hints': (0.0, 100.0),
    'logit_adjustment': (0.0, 1.0),
    'light': (0.0, 5.0),
    'mixed': (0.0, 1.0),
    'evaluate_every': (1, 10_000),
    'images_per_epoch': (0, 10_000_000),
}
ZOOMS = (0.1, 10.0)
"""Bounds of bounds of the random zoom."""
LARGEST_SIDE = 4096
"""Pixels; larger crops do not fit into any memory with their activations."""
STRIDE = 32
"""The largest stride of a backbone: other crops would be padded, and learned with the padding."""
ONLY_IN = {
    'start': ('backbone',),
    'teacher': ('backbone',),
    'hints': ('backbone',),
    'logit_adjustment': ('backbone',),
    'scales': ('backbone',),
    'light': ('backbone',),
    'mixed': ('backbone',),
    'propagations': ('pairs',),
    'scheduler': ('pairs',),
    'interior': ('pairs',),
    'motion': ('pairs',),
    'motions': ('motion',),
    'distances': ('pairs', 'motion'),
}
"""Keys that other stages would pass over in silence."""
MIXING = ('share', 'from_epoch', 'made_by')
"""Options of a data set that say when it is drawn from."""
MOVING = ('motion', 'pseudo_labels', 'confidence', 'frames')
"""Options of a data set that say how it comes to move, see :mod:`vss_ros.training.data_sets`."""


def faults_of(raw: dict[str, Any], known: Iterable[Field[Any]]) -> list[str]:
    """Return everything that is wrong with a recipe, in the words of its file; empty if nothing is.

    Args:
        raw: The file's keys and values; each data set's options spelled out as a mapping.
        known: The fields of a recipe.

    """
    types = {f.name: str(f.type) for f in known}
    faults = [f'unknown key {key!r}' for key in raw if key not in types]
    faults += [f'missing key {key!r}' for key in ('stage', 'model') if key not in raw]
    wrong = {key: fault for key in types if key in raw and (fault := _type_fault(key, raw[key], types[key]))}
    faults += wrong.values()
    sound = {key: value for key, value in raw.items() if key in types and key not in wrong}
    stage = raw.get('stage')
    usual = {f.name: f.default for f in known}
    faults += [
        f'{key} has no meaning in stage {stage}'
        for key, stages in ONLY_IN.items()
        if stage in STAGES
        and stage not in stages
        and (sound.get(key) or sound.get(key, usual[key]) == 0 != usual[key])
    ]
    for check in (_geometry, _stage, _members, _data, _evaluation):
        faults += check(sound)
    return faults


def _type_fault(key: str, value: Any, kind: str) -> str:
    """Return what is wrong with a single value, empty if nothing."""
    if key in BOUNDS:
        low, high = BOUNDS[key]
        word = 'an integer' if kind == 'int' else 'a number'
        fits = _is_number(value, whole=kind == 'int') and low <= value <= high
        return '' if fits else f'{key} is {value!r}, expected {word} from {low:g} to {high:g}'
    if kind == 'tuple[float, float]':
        return _range_fault(key, value)
    if kind == 'tuple[int, int]':
        return '' if _is_pair(value) else f'{key} is {value!r}, expected two positive integers'
    if kind == 'tuple[str, ...]':
        fits = isinstance(value, list) and all(isinstance(v, str) for v in value)
        fits = fits and len(set(value)) == len(value)
        return '' if fits else f'{key} is {value!r}, expected a list of names, each once'
    if kind.startswith('dict'):
        fits = isinstance(value, dict) and all(isinstance(v, dict) for v in value.values())
        return '' if fits else f'{key} is {value!r}, expected a mapping from data sets to their options'
    fits = kind != 'str' or isinstance(value, str)
    return '' if fits else f'{key} is {value!r}, expected a name'


def _range_fault(key: str, value: Any) -> str:
    """Return what is wrong with the bounds of a zoom, empty if nothing."""
    low, high = ZOOMS
    fits = isinstance(value, list) and len(value) == 2 and all(_is_number(v) for v in value)
    fits = fits and low <= value[0] <= value[1] <= high
    return '' if fits else f'{key} is {value!r}, expected least and most, from {low:g} to {high:g}'


def _geometry(raw: dict[str, Any]) -> list[str]:
    """Check crop and distances."""
    faults = []
    if any(side % STRIDE or side > LARGEST_SIDE for side in raw.get('crop', ())):
        faults.append(f'crop is {raw["crop"]}, expected multiples of {STRIDE} up to {LARGEST_SIDE}')
    low, high = raw.get('distances', (1, 1))
    if not low <= high <= FURTHEST:
        faults.append(f'distances is {raw["distances"]}, expected least and most, up to {FURTHEST}')
    return faults


def _stage(raw: dict[str, Any]) -> list[str]:
    """Check that the stage has what it needs, and nothing it would pass over."""
    stage = raw.get('stage', '')
    if stage not in STAGES:
        return [f'stage is {stage!r}, expected one of: {", ".join(STAGES)}'] if 'stage' in raw else []
    faults = []
    if stage == 'backbone' and not raw.get('backbone'):
        faults.append("missing key 'backbone': the network to train")
    if stage == 'backbone' and raw.get('backbone') == 'external':
        faults.append(
            'backbone is external, which is trained where it comes from; see: vss models add --help'
        )
    if raw.get('hints') and not raw.get('teacher'):
        faults.append("hints need a teacher: missing key 'teacher'")
    if stage == 'pairs' and not (raw.get('propagations') or raw.get('scheduler')):
        faults.append('missing propagations or scheduler: nothing to train')
    if stage == 'motion' and not raw.get('motions'):
        faults.append("missing key 'motions': nothing to train")
    least = raw.get('batch', 8)
    if raw.get('mixed') and least < 2:
        faults.append(f'batch is {least}, expected at least 2 views for mixed to paste from one onto another')
    if raw.get('images_per_epoch', 0) < least and (stage != 'backbone' or raw.get('images_per_epoch')):
        faults.append(
            f'images_per_epoch is {raw.get("images_per_epoch", 0)}, expected at least a batch of {least}'
        )
    return faults


def _members(raw: dict[str, Any]) -> list[str]:
    """Check that all names exist."""
    named: list[tuple[Registry[Any], Iterable[str]]] = [
        (BACKBONES, filter(None, [raw.get('backbone')])),
        (PROPAGATIONS, raw.get('propagations', ())),
        (MOTIONS, [raw.get('motion', 'dis'), *raw.get('motions', ())]),
    ]
    faults = []
    for registry, names in named:
        for name in names:
            try:
                registry.get(name)
            except VssError as error:
                faults.append(str(error))
    pupil = raw.get('backbone') if raw.get('hints') and not faults else None
    if pupil and not BACKBONES.get(pupil).encoder_stages:
        faults.append(f'hints have no meaning for {pupil}: it names no encoder_stages')
    trainable = [member.name for member in SCHEDULERS if member.cls.trainable]
    if raw.get('scheduler') and raw['scheduler'] not in trainable:
        expected = ' or '.join(trainable)
        faults.append(f'scheduler is {raw["scheduler"]!r}, expected {expected}: others need no training')
    try:
        load_classes(raw.get('classes', 'camvid11'))
    except VssError as error:
        faults.append(f'classes: {error}')
    return faults


def _data(raw: dict[str, Any]) -> list[str]:
    """Check what is trained on, and in which shares."""
    data = raw.get('data', {})
    if not data:
        return ["missing key 'data': nothing to train on"]
    faults = []
    for name, options in data.items():
        faults += _option_faults(f'data {name}', options, mixing=True)
        crop, size = raw.get('crop'), options.get('size')
        if crop and _is_pair(size) and any(c > s for c, s in zip(crop, size, strict=True)):
            faults.append(f'crop is {crop}, expected at most the size {size} of data {name}')
    if raw.get('stage') == 'backbone':
        faults += [
            f'data {name}: {key} has no meaning in stage backbone'
            for name in data
            for key in MOVING
            if key in data[name]
        ]
    main, *others = data
    faults += [
        f'data {main}: {key} has no meaning: the first data set fills what the others leave'
        for key in ('share', 'from_epoch')
        if key in data[main]
    ]
    shares = [data[name].get('share') for name in others]
    if any(not _is_number(share) or not 0 < share < 1 for share in shares) or sum(shares) >= 1:
        faults.append(f'shares of {", ".join(others)} are {shares}, expected each above 0 and a sum below 1')
    for name in others:
        start = data[name].get('from_epoch', 0)
        if _is_number(start, whole=True) and not 0 <= start < raw.get('epochs', 40):
            faults.append(f'data {name}: from_epoch is {start}, expected an epoch of the training')
    return faults


def _evaluation(raw: dict[str, Any]) -> list[str]:
    """Check what is scored on: never what is trained on."""
    evaluate = raw.get('evaluate', {})
    faults = []
    if len(evaluate) > 1:
        faults.append(f'evaluate is {list(evaluate)}, expected one data set at most')
    for name, options in evaluate.items():
        faults += _option_faults(f'evaluate {name}', options, mixing=False)
        trained = raw.get('data', {}).get(name)
        if trained is not None and options.get('split', trained.get('split')) == trained.get('split'):
            faults.append(f'evaluate {name}: expected another split than the one that is trained on')
    return faults


def _option_faults(where: str, options: dict[str, Any], *, mixing: bool) -> list[str]:
    """Check the options of one data set."""
    known = {f.name for f in fields(DataOptions)} | ({*MIXING, *MOVING} if mixing else set())
    faults = [f'{where}: unknown option {key!r}' for key in options if key not in known]
    if 'layout' in options and options['layout'] not in LAYOUTS:
        faults.append(f'{where}: layout is {options["layout"]!r}, expected one of: {", ".join(LAYOUTS)}')
    if 'size' in options and not (_is_pair(options['size']) and max(options['size']) <= LARGEST_SIDE):
        faults.append(f'{where}: size is {options["size"]!r}, expected height and width up to {LARGEST_SIDE}')
    if 'from_epoch' in options and not _is_number(options['from_epoch'], whole=True):
        faults.append(f'{where}: from_epoch is {options["from_epoch"]!r}, expected an integer')
    if not isinstance(options.get('motion', {}), dict):
        faults.append(f'{where}: motion is {options["motion"]!r}, expected a mapping')
    confidence = options.get('confidence', 1)
    if not _is_number(confidence) or not 0 < confidence <= 1:
        faults.append(f'{where}: confidence is {confidence!r}, expected a number above 0 up to 1')
    faults += [
        f'{where}: {key} is {options[key]!r}, expected an integer from 1'
        for key in ('every', 'frames')
        if not (_is_number(options.get(key, 1), whole=True) and options.get(key, 1) >= 1)
    ]
    words = ('split', 'image_topic', 'mask_topic', 'masks', 'made_by')
    return faults + [
        f'{where}: {key} is {options[key]!r}, expected text'
        for key in words
        if key in options and not isinstance(options[key], str)
    ]


def _is_number(value: Any, *, whole: bool = False) -> bool:
    """Tell numbers from everything else; ``true`` is none."""
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return False
    return math.isfinite(value)


def _is_pair(value: Any) -> bool:
    """Tell two positive integers."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(_is_number(v, whole=True) and v > 0 for v in value)
    )
