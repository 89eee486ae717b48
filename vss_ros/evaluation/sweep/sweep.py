"""Sweeps: one YAML file → named configurations, with what is refused said beforehand."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import product
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from vss_ros.engine.build import build_segmenter
from vss_ros.engine.options import SegmenterConfig, parse_size
from vss_ros.engine.propagation.base import NO_PROPAGATION
from vss_ros.errors import VssError
from vss_ros.evaluation.replay.input_frames import per_frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from vss_ros.evaluation.sweep.configuration import EvaluationConfig

SECTIONS = ('base', 'configurations', 'product', 'exclude', 'tables')
SETTINGS = tuple(field.name for field in fields(SegmenterConfig) if field.name != 'threads')
"""What a sweep may vary: the names of the command line's options, with ``_`` for ``-``."""
PDA = 'pda'
"""May be said of single configurations too, since it costs as much as all else together."""
Settings = dict[str, Any]


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
        path: YAML with any of ``configurations`` (name → settings), ``product`` (setting → list of values,
            all combinations are taken; or a list of several such), ``exclude`` (list of settings; what has
            them all is left out of the product), ``base`` (settings of all) and ``tables`` (for
            ``paper_tables.read_tables``).
        base: What the command line says; the file's settings come on top.

    Raises:
        VssError: No such file, not such YAML, an unknown setting or a value that makes no sense.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise VssError(f'expected a readable sweep file, got {path}: {error}') from error
    if not isinstance(raw, dict) or not raw or not set(raw) <= set(SECTIONS):
        got = ', '.join(map(str, raw)) if isinstance(raw, dict) else type(raw).__name__
        raise VssError(f'{path}: expected the sections {", ".join(SECTIONS)}, got {got or "nothing"}')
    try:
        shared = with_settings(base, raw.get('base') or {})
        found = [
            replace(with_settings(shared, settings or {}), name=str(name))
            for name, settings in (raw.get('configurations') or {}).items()
        ]
        found += _products(raw, shared)
    except VssError as error:
        raise VssError(f'{path}: {error}') from error
    except (AttributeError, TypeError, ValueError) as error:
        raise VssError(
            f'{path}: expected the layout of config/experiments/sweep.yaml, got {error}'
        ) from error
    if not found:
        raise VssError(f'{path}: expected at least one configuration, got none; exclude fewer')
    return _unique(found)


def with_settings(config: EvaluationConfig, settings: Mapping[str, Any]) -> EvaluationConfig:
    """Return a configuration with some settings of its segmenter changed.

    Raises:
        VssError: An unknown setting, or a value of another kind.
    """
    unknown = [str(name) for name in settings if name not in (*SETTINGS, PDA)]
    if unknown:
        raise VssError(f'expected settings out of {", ".join((*SETTINGS, PDA))}, got {", ".join(unknown)}')
    pda = settings.get(PDA, config.pda)
    if not isinstance(pda, bool):
        raise VssError(f'{PDA}: expected true or false, got {pda!r}')
    values = {name: _value(name, value) for name, value in settings.items() if name != PDA}
    return replace(config, pda=pda, segmenter=replace(config.segmenter, **values))


def _value(name: str, value: Any) -> Any:
    """Return a setting's value as the segmenter takes it."""
    if name == 'size':
        return parse_size(str(value))
    if name == 'threshold':
        return nan if value is None else _number(name, value, float)
    kind = type(getattr(SegmenterConfig(), name))
    if kind is str:
        # YAML reads an unquoted `none` as text, but `null` and `~` as nothing.
        return NO_PROPAGATION if value is None else str(value)
    return _number(name, value, kind)


def _number(name: str, value: Any, kind: type) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or kind(value) != value:
        raise VssError(f'{name}: expected {"a whole number" if kind is int else "a number"}, got {value!r}')
    return kind(value)


def _products(raw: Mapping[str, Any], shared: EvaluationConfig) -> Iterator[EvaluationConfig]:
    """Yield all combinations, named by whatever differs among them."""
    blocks = raw.get('product') or []
    for block in blocks if isinstance(blocks, list) else [blocks]:
        lists = {name: values if isinstance(values, list) else [values] for name, values in block.items()}
        varied = [name for name, values in lists.items() if len(values) > 1] or list(lists)
        for values in product(*lists.values()):
            settings = dict(zip(lists, values, strict=True))
            config = with_settings(shared, settings)
            if not any(_has(config, wanted) for wanted in raw.get('exclude') or []):
                yield replace(config, name='+'.join(_word(name, settings[name]) for name in varied))


def _has(config: EvaluationConfig, wanted: Settings) -> bool:
    """Tell whether a configuration has all wanted settings; a list stands for any of its values."""
    for name, values in wanted.items():
        allowed = [
            getattr(with_settings(config, {name: value}).segmenter, name)
            for value in (values if isinstance(values, list) else [values])
        ]
        if getattr(config.segmenter, name) not in allowed:
            return False
    return True


def _word(name: str, value: Any) -> str:
    """Return a setting as a part of a name: numbers say of what."""
    return str(value) if isinstance(value, str) else f'{name}={value}'


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
    references = [replace(per_frame(c), name=_reference_name(c, found), pda=pda) for c in found]
    present = {config.digest() for config in found}
    return _unique([*(r for r in references if r.digest() not in present), *found])


def _reference_name(config: EvaluationConfig, found: list[EvaluationConfig]) -> str:
    models = {other.segmenter.model for other in found}
    return 'per_frame' if len(models) == 1 else f'per_frame+{Path(config.segmenter.model).stem}'


def checked(configurations: Iterable[EvaluationConfig]) -> Sweep:
    """Return what can be built and, with its sentence, what cannot.

    Built for once and forgotten: what is refused here is refused by the very code that runs it. What is
    left open, device and threads, is settled here.
    """
    good, refused = [], []
    for config in configurations:
        try:
            ready = config.resolved()
            build_segmenter(ready.segmenter).segmenter.close()
        except VssError as error:
            refused.append(Refused(config, str(error)))
        else:
            good.append(ready)
    return Sweep(tuple(good), tuple(refused))
