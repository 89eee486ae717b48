"""Sweeps: one YAML file → named configurations, with what is refused said beforehand."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import product
from math import nan, prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field, create_model

from vss_ros.engine.build import outline_segmenter
from vss_ros.engine.option import parse_size
from vss_ros.engine.options import SegmenterConfig
from vss_ros.engine.propagation.base import NO_PROPAGATION
from vss_ros.errors import VssError
from vss_ros.schema import Label, Schema, converted, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from vss_ros.evaluation.sweep.configuration import EvaluationConfig
    from vss_ros.schema import Fault, Place

MOST = 10_000
"""Configurations of a block."""
PDA = 'pda'
"""May be said of single configurations too, since it costs as much as all else together."""


def _kind(name: str, default: Any) -> Any:
    if name == 'size':
        return Annotated[Any, converted(lambda value: parse_size(str(value)))]
    if name == 'threshold':
        return float | None
    if isinstance(default, str):
        # YAML reads an unquoted `none` as text, but `null` and `~` as nothing.
        return Annotated[str, BeforeValidator(lambda value: NO_PROPAGATION if value is None else value)]
    return type(default)


VARIED = [field for field in fields(SegmenterConfig) if field.name not in {'threads', 'trust'}]
KINDS: dict[str, Any] = {field.name: _kind(field.name, field.default) for field in VARIED} | {PDA: bool}
"""What a sweep may vary: the names of the command line's options, with ``_`` for ``-``, and their types."""
EMPTY = BeforeValidator(lambda value: {} if value is None else value)
SEVERAL = BeforeValidator(lambda value: value if isinstance(value, list) else [value])
BLOCKS = BeforeValidator(lambda value: [] if value is None else value if isinstance(value, list) else [value])
NAMED = BeforeValidator(
    lambda value: {str(name): entry for name, entry in value.items()} if isinstance(value, dict) else value
)
if TYPE_CHECKING:
    Settings: TypeAlias = Schema
    Choices: TypeAlias = Schema
else:
    LISTS = {name: Annotated[list[kind], SEVERAL] for name, kind in KINDS.items()}
    Settings = create_model('Settings', __base__=Schema, **{name: (KINDS[name], None) for name in KINDS})
    Choices = create_model('Choices', __base__=Schema, **{name: (LISTS[name], None) for name in LISTS})


class SweepFile(Schema):
    """What a sweep file holds."""

    base: Annotated[Settings, EMPTY] = Field(default_factory=Settings)
    """Settings of all configurations."""
    configurations: Annotated[dict[Label, Annotated[Settings, EMPTY]], NAMED, EMPTY] = Field({})
    """Settings by name."""
    product: Annotated[list[Choices], BLOCKS] = Field(default_factory=list)
    """Of each block's lists of values all combinations are taken."""
    exclude: Annotated[list[Choices], BLOCKS] = Field(default_factory=list)
    """What has one of the values of every setting of a block is left out of the product."""
    tables: Any = None
    """Not read here: the papers' tables of ``experiments/``."""


@dataclass(frozen=True)
class Refused:
    """A configuration that cannot run."""

    config: EvaluationConfig
    reason: str


@dataclass(frozen=True)
class Sweep:
    """What to run, in order, and what not."""

    configurations: tuple[EvaluationConfig, ...]
    refused: tuple[Refused, ...] = ()

    @property
    def names(self) -> set[str]:
        """Names of all, those included that cannot run."""
        return {config.name for config in (*self.configurations, *(entry.config for entry in self.refused))}


def read_sweep(path: Path, base: EvaluationConfig) -> list[EvaluationConfig]:
    """Return the configurations of a sweep file, each once, under names of their own.

    Args:
        path: YAML with the sections of ``SweepFile``.
        base: What the command line says; the file's settings come on top.

    Raises:
        VssError: No such file, not such YAML, unknown settings or values that make no sense: all of them.
    """
    document = read_yaml(path, 'sweep')
    file = document.checked(SweepFile)
    faults: list[Fault] = []

    def with_settings(
        config: EvaluationConfig, settings: Mapping[str, Any], place: Place
    ) -> EvaluationConfig:
        try:
            return _with_settings(config, settings)
        except VssError as error:
            faults.append((place, str(error)))
            return config

    shared = with_settings(base, _stated(file.base), ('base',))
    found = [
        replace(with_settings(shared, _stated(settings), ('configurations', name)), name=name)
        for name, settings in file.configurations.items()
    ]
    raw = document.values.get('product')
    for number, block in enumerate(file.product):
        # In the file's order, which is that of the names, and with its words for sizes.
        words = (raw[number] if isinstance(raw, list) else raw) or {}
        if (count := prod(map(len, _stated(block).values()))) > MOST:
            document.refuse([(('product', number), f'expected at most {MOST} configurations, got {count}')])
        for name, settings in _combinations(_stated(block), words):
            config = with_settings(shared, settings, ('product', number))
            if not any(_has(config, _stated(wanted)) for wanted in file.exclude):
                found.append(replace(config, name=name))
    document.refuse(faults)
    if not found:
        raise VssError(f'{path}: expected at least one configuration, got none; exclude fewer')
    return _unique(found)


def _stated(settings: Schema) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.model_fields_set}


def _with_settings(config: EvaluationConfig, settings: Mapping[str, Any]) -> EvaluationConfig:
    values = dict(settings)
    pda = values.pop(PDA, config.pda)
    if values.get('threshold', nan) is None:
        values['threshold'] = nan
    return replace(config, pda=pda, segmenter=replace(config.segmenter, **values))


def _combinations(
    block: Mapping[str, list[Any]], words: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield all combinations of a block's values, each with a name made of what differs among them.

    The words are the same block as in the file, in its order.
    """
    texts = {name: values if isinstance(values, list) else [values] for name, values in words.items()}
    varied = [name for name, values in texts.items() if len(values) > 1] or list(texts)
    for chosen in product(*(list(zip(texts[name], block[name], strict=True)) for name in texts)):
        by_name = dict(zip(texts, chosen, strict=True))
        words_of = ((setting, by_name[setting][0]) for setting in varied)
        # Numbers say of what.
        name = '+'.join(word if isinstance(word, str) else f'{setting}={word}' for setting, word in words_of)
        yield name, {setting: value for setting, (_, value) in by_name.items()}


def _has(config: EvaluationConfig, wanted: Mapping[str, list[Any]]) -> bool:
    """Tell whether a configuration has one of the wanted values of each setting."""
    wishes = wanted.items()
    return all(config in [_with_settings(config, {name: value}) for value in some] for name, some in wishes)


def _unique(found: Iterable[EvaluationConfig]) -> list[EvaluationConfig]:
    """Drop what does the same as one before, and give equal names numbers."""
    kept: dict[str, EvaluationConfig] = {}
    names: set[str] = set()
    for config in found:
        digest = config.digest()
        if digest in kept:
            continue
        name, number = config.name, 2
        while name in names:
            name, number = f'{config.name}_{number}', number + 1
        names.add(name)
        kept[digest] = replace(config, name=name)
    return list(kept.values())


def with_references(configurations: Iterable[EvaluationConfig]) -> list[EvaluationConfig]:
    """Return the configurations with the per-frame network of each model among them, added in front."""
    found = list(configurations)
    pda = all(config.pda for config in found)  # where only some have it, one reference serves all
    references = [replace(c.per_frame(), name=_reference_name(c, found), pda=pda) for c in found]
    present = {config.digest() for config in found}
    return _unique([*(r for r in references if r.digest() not in present), *found])


def _reference_name(config: EvaluationConfig, found: list[EvaluationConfig]) -> str:
    models = {other.segmenter.model for other in found}
    return 'per_frame' if len(models) == 1 else f'per_frame+{Path(config.segmenter.model).stem}'


def checked(configurations: Iterable[EvaluationConfig]) -> Sweep:
    """Return what can be built, device and threads settled, and, with its sentence, what cannot."""
    good, refused = [], []
    for config in configurations:
        try:
            ready = config.resolved()
            outline_segmenter(ready.segmenter)
        except VssError as error:
            refused.append(Refused(config, str(error)))
        else:
            good.append(ready)
    return Sweep(tuple(good), tuple(refused))
