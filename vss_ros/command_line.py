"""Declares the arguments of a command line, one a line, and says what may be printed."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

PATHS = frozenset({'DIR', 'FILE', 'BAG', 'INPUT', 'RECIPE', 'SOURCE'})
"""Placeholders of values that are paths."""


_CONTROL = re.compile(r'[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]')


def printable(text: str) -> str:
    """Return a text whose control characters and bytes that are no UTF-8 are spelled out.

    Names of topics, classes and files come from anybody; a terminal obeys what they hold.
    """
    return _CONTROL.sub(lambda found: found[0].encode('unicode_escape').decode(), text)


def new_parser(name: str, text: str | None) -> argparse.ArgumentParser:
    """Return a parser whose help shows ``text``, a module's docstring, line by line."""
    layout = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(name, description=text, formatter_class=layout)


def add(parser: Any, names: str, text: str, default: Any = None, **more: Any) -> None:
    """Declare an argument.

    Args:
        parser: It, or a group of its arguments.
        names: With what stands for the value, in capitals: ``input INPUT``, ``-o --output DIR``. An option
            without that, default or anything else is a flag.
        text: What it is for; a default that says something is appended where the text does not speak of it.
        default: Its type is that of the value; without one the value is a path if its placeholder is among
            ``PATHS``, else a string.
        **more: Further arguments of ``add_argument``.
    """
    words = names.split()
    metavar = words.pop() if len(words) > 1 and not words[-1].startswith('-') else None
    if words[0].startswith('-') and metavar is None and default is None and not more:
        parser.add_argument(*words, action='store_true', help=text)
        return
    plain = isinstance(default, (str, int, float, Path))
    kind: Any = Path if metavar in PATHS else type(default) if plain else str
    if default and plain and 'default' not in text:
        text += f' (default: {default:g})' if kind is float else f' (default: {default})'
    arguments = {'type': kind, 'metavar': metavar, 'default': default, 'help': text}
    parser.add_argument(*words, **(arguments | more))
