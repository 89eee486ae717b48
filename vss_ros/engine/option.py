"""What is said of one option, and options that are read from a text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vss_ros.errors import VssError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


@dataclass(frozen=True, slots=True)
class Option:
    """What is said of an option wherever it is offered."""

    text: str
    """What it is for, without the full stop at its end."""
    unset: str = ''
    """What is taken where the value is left at 0 (the threshold: at NaN); empty: 0 is an ordinary value."""
    bounds: tuple[float, float] | None = None
    """Lowest and highest value of the node parameter."""
    choices: tuple[str, ...] = ()
    live: bool = False
    """Whether the node parameter can be changed while the node is active."""
    node: bool = True
    """Whether the node has it as a parameter."""
    offline: bool = True
    """Whether the command line has it as an argument."""
    placeholder: str = ''
    """Stands for the value in the command line's help."""
    parse: Callable[[str], Any] | None = None
    """From the command line's text to the value; None: the type of the default."""

    @property
    def description(self) -> str:
        """The text for a node parameter, as sentences."""
        text = self.text[0].upper() + self.text[1:]
        text += f'; 0 takes {self.unset}.' if self.unset else '.'
        return text + (f' One of: {", ".join(self.choices)}.' if self.choices else '')


def option(default: Any, text: str, **more: Any) -> Any:
    """Return a dataclass field with its ``Option``; ``more`` are further fields of that class."""
    return field(default=default, metadata={'option': Option(text, **more)})


def parse_size(text: str) -> tuple[int, int] | None:
    """Return (height, width) of ``HEIGHTxWIDTH``, None for ``auto``; raise a ``VssError`` for other texts."""
    if text == 'auto':
        return None
    height, x, width = text.partition('x')
    if not (x and height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise VssError(f'size is {text!r}, expected auto or HEIGHTxWIDTH such as 360x480')
    return int(height), int(width)


def written_size(size: tuple[int, int] | None) -> str:
    """Return what ``parse_size`` reads."""
    return 'auto' if size is None else 'x'.join(map(str, size))


def camera_names(value: Any, taken: Collection[str] = ()) -> tuple[str, ...]:
    """Return the names in a list, or in a text with commas; empty ones are left out.

    Raises:
        VssError: What topics and parameters cannot be called by, or is ``taken``.
    """
    parts = [*value] if isinstance(value, (list, tuple)) else str(value).split(',')
    names = tuple(filter(None, (str(part).strip() for part in parts)))
    wrong = [name for name in names if not re.fullmatch('[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*', name)]
    if wrong or len(set(names)) < len(names):
        raise VssError(
            f'cameras is {value!r}, expected names of letters, digits and single underscores, each once, '
            'such as [front, rear]'
        )
    if found := {*names} & {*taken, 'qos_overrides'}:
        raise VssError(f'cameras is {value!r}, expected names that no parameter has, got {min(found)}')
    return names


def fault_of_cameras(value: Any, taken: Collection[str]) -> str:
    """Return what is wrong with the names of cameras, empty where nothing is; see ``camera_names``."""
    try:
        camera_names(value, taken)
    except VssError as error:
        return str(error)
    return ''
