"""What is said of one option, wherever it is offered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


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
