"""Parameters that are given and not taken: misspelt ones, and files that name another node."""

from __future__ import annotations

import re
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rclpy.node import Node

FILE, SECTION = '--params-file', 'ros__parameters'


def undeclared(node: Node, prefix: str = '', other_than: str = '\0') -> list[str]:
    """Return a sentence for each parameter given to a node at its start that it has not declared.

    Args:
        node: The node, with all its parameters declared.
        prefix: Of the names to look at.
        other_than: Prefix of those to leave out.
    """
    names = [name for name in node._parameter_overrides if name.startswith(prefix)]
    unknown = [name for name in names if not (name.startswith(other_than) or node.has_parameter(name))]
    declared = [name for name in node._parameters if name.startswith(prefix)]
    return [f'there is no parameter {name!r}{_nearest(name, declared)}' for name in unknown]


def files_for_others(arguments: Sequence[str], node: str) -> Iterator[str]:
    """Yield a sentence for each parameter file on the command line that has nothing for a node.

    Args:
        arguments: The command line.
        node: The node's name with its namespace.
    """
    for word, file in pairwise(arguments):
        if word != FILE:
            continue
        sections = list(_sections(yaml.safe_load(Path(file).read_text(encoding='utf-8'))))
        if not any(re.fullmatch(_pattern(section), node) for section in sections):
            yield (
                f'{file} has no parameters for {node}, only for {", ".join(sections) or "nobody"}: '
                f'its parameters are not used; name the section {node} or /**'
            )


def _sections(tree: Any, name: str = '') -> Iterator[str]:
    for key, value in tree.items() if isinstance(tree, dict) else ():
        if key == SECTION:
            yield name or '/'
        else:
            yield from _sections(value, f'{name}/{str(key).strip("/")}')


def _pattern(section: str) -> str:
    tokens = {'/**': '(/[^/]+)*', '/*': '/[^/]+'}
    return ''.join(tokens.get(part, re.escape(part)) for part in re.findall('/[^/]+', section))


def _nearest(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, 1)
    return f'; did you mean {near[0]!r}?' if near else ', so that it is not used; see config/segment.yaml'
