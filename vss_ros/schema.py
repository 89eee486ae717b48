"""YAML files that people write, checked against a pydantic model: all faults at once, each with its line."""

from __future__ import annotations

import difflib
import reprlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Strict, ValidationError

from vss_ros.command_line import printable
from vss_ros.errors import VssError
from vss_ros.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

LARGEST_FILE = 2**24
LARGEST = 100_000
"""Most values of a file, each alias counted as often as it is used: a few lines of them can mean billions."""
FROM_LIST = Strict(strict=False)
"""For fields that are tuples: ``Annotated[tuple[int, int], FROM_LIST]``; the entries stay strict."""
EXPECTED = {
    'int_type': 'a whole number',
    'float_type': 'a number',
    'string_type': 'text',
    'bool_type': 'true or false',
    'list_type': 'a list',
    'tuple_type': 'a list',
    'dict_type': 'a mapping of names to values',
    'model_type': 'a mapping of names to values',
    'invalid_key': 'text as a name',
}
"""What was expected, by pydantic's type of error; other types are said in pydantic's own words."""

Place = tuple[str | int, ...]
"""The way to a value: names of mappings and numbers, from 0, of list entries."""
Fault = tuple[Place, str]
"""Where a file is wrong, and how: ``expected …, got …`` and, where it helps, what to do."""
ModelT = TypeVar('ModelT', bound='Schema')


class Schema(BaseModel):
    """What a mapping of a file holds: no other names, values of exactly the declared kind, finite numbers."""

    model_config = ConfigDict(extra='forbid', strict=True, frozen=True, allow_inf_nan=False)


def converted(function: Callable[[Any], Any]) -> BeforeValidator:
    """Return a validator that a value passes through; its VssError becomes a fault of the file."""

    def convert(value: Any) -> Any:
        try:
            return function(value)
        except VssError as error:
            raise ValueError(str(error)) from error

    return BeforeValidator(convert)


def _label(text: str) -> str:
    if printable(text) != text or not text:
        raise ValueError(f'expected a name without control characters, got {text!r}')
    return text


def _file_name(text: str) -> str:
    if '/' in text or text.startswith('.') or len(text.encode()) > LONGEST:
        raise ValueError(f'expected a file name without a folder, got {text[:LONGEST]!r}')
    return text


LONGEST = 200
"""Most bytes of a file's name, so that endings fit beside it."""
Label = Annotated[str, AfterValidator(_label)]
"""A name that is printed."""
FileName = Annotated[Label, AfterValidator(_file_name)]
"""A name that files are called by, without ending."""


@dataclass(frozen=True)
class Document:
    """A file that has been read and is yet to be checked."""

    path: Path
    values: Any
    """Plain values; short forms in them may be replaced by long ones before they are checked."""
    _root: yaml.Node | None

    def checked(self, model: type[ModelT], more: Iterable[Fault] = ()) -> ModelT:
        """Return the values as a model.

        Raises:
            VssError: All faults, ``more`` that the caller has found among them, one a line, as ``FILE:LINE
                key: expected …, got …``.
        """
        faults = list(more)
        try:
            found = model.model_validate(self.values)
        except ValidationError as error:
            faults += _faults(error, model)
        self.refuse(faults)
        return found

    def refuse(self, faults: Iterable[Fault]) -> None:
        """Raise a VssError that lists all faults in the order of their lines, if there are any."""
        lines = [
            (line, f'{self.path}:{line} {key}: {text}' if key else f'{self.path}:{line} {text}')
            for place, text in faults
            for line, key in [self._locate(place)]
        ]
        if lines:
            raise VssError('\n'.join(text for _, text in sorted(dict.fromkeys(lines), key=lambda x: x[0])))

    def _locate(self, place: Place) -> tuple[int, str]:
        """Return the line of a value, that of what it is missing from where it is not there, and its key."""
        node: Any = self._root
        key = ''
        line = 0 if node is None else node.start_mark.line
        for part in place:
            child = None
            pairs: list[Any] = node.value if isinstance(node, yaml.MappingNode) else []
            found = [pair for pair in pairs if pair[0].value == str(part)]
            if found:
                line, child = found[-1][0].start_mark.line, found[-1][1]
            elif isinstance(part, int) and not isinstance(node, yaml.SequenceNode):
                continue  # a single value where a list may stand
            elif isinstance(part, int) and part < len(node.value):
                child = node.value[part]
                line = child.start_mark.line
            key += f'[{part}]' if isinstance(node, yaml.SequenceNode) else f'.{part}'
            node = child
        return line + 1, key.removeprefix('.')


def read_yaml(path: Path, kind: str) -> Document:
    """Read a YAML file of plain values; ``kind`` is what it is for errors, such as ``recipe``.

    Raises:
        VssError: It cannot be read, is no YAML, says a name twice or stands for too many values.
    """
    try:
        loader = yaml.SafeLoader(read_regular(path, LARGEST_FILE).decode())
        root = loader.get_single_node()
        if root is None:
            return Document(path, None, None)
        _count(root, {})
        return Document(path, loader.construct_document(root), root)
    except (OSError, ValueError, OverflowError, RecursionError, yaml.YAMLError) as error:
        raise VssError(f'expected a readable {kind} file, got {path}: {error}') from error


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """Return for how many values a node stands, all aliases spelled out."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = LARGEST  # until it is known: what it finds below itself would go on for ever
    children: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        children = node.value
    elif isinstance(node, yaml.MappingNode):
        children = [child for pair in node.value for child in pair]
        names: set[str] = set()
        for key in children[::2]:
            if isinstance(key, yaml.ScalarNode) and key.value in names:
                raise ValueError(f'line {key.start_mark.line + 1}: expected {key.value} once, got it twice')
            names.add(str(key.value))
    text = len(node.value) // 100 if isinstance(node, yaml.ScalarNode) else 0  # a long one is many, too
    known[id(node)] = 1 + text + sum(_count(child, known) for child in children)
    if known[id(node)] > LARGEST:
        raise ValueError(f'expected at most {LARGEST} values, aliases spelled out, got more')
    return known[id(node)]


def _faults(error: ValidationError, model: type[BaseModel]) -> Iterator[Fault]:
    """Yield pydantic's findings in this project's words."""
    for found in error.errors(include_url=False):
        place, kind, text = found['loc'], found['type'], found['msg']
        got = f', got {reprlib.repr(found["input"])}'
        if kind == 'extra_forbidden':
            name, known = str(place[-1]), sorted(_names(model, place[:-1]))
            near = difflib.get_close_matches(name, known, 1)
            text = f'expected one of {", ".join(known)}, got {name}'
            text += f'; did you mean {near[0]}?' if near else ''
        elif kind == 'missing':
            text = 'expected a value, got none'
        elif kind == 'value_error':
            text = text.removeprefix('Value error, ')
        else:
            text = f'expected {EXPECTED.get(kind, text.removeprefix("Input should be "))}{got}'
        yield tuple(part for part in place if part != '[key]'), text


def _names(model: type[BaseModel], place: Place) -> set[str]:
    """Return the names that a mapping at a place of a file may have."""
    models = [model]
    for part in place:  # names and numbers that are no field's stand for entries of a mapping or list
        fields = [kind.model_fields[part] for kind in models if part in kind.model_fields]
        models = [inner for field in fields for inner in _models(field.annotation)] or models
    return {name for kind in models for name in kind.model_fields}


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]
