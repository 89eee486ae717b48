"""HTML put together from values, so that whatever a name holds stays text.

Only ``element`` and ``joined`` make markup; every other text is escaped where it enters.
"""

from __future__ import annotations

import re
from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

VOID_ELEMENTS = frozenset({'img', 'meta', 'wbr'})
"""Elements that have no end."""


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Content = str | Markup | None
"""What elements hold: markup as it is, other text escaped, None for nothing."""


def element(tag: str, *contents: Content, **attributes: str | float | bool | None) -> Markup:
    """Return an element.

    Args:
        tag: Its name.
        contents: What it holds.
        attributes: By name; a trailing ``_`` is dropped and others become ``-``. True is an attribute without
            value, None and False leave it out.

    """
    named = ''.join(
        f' {name.rstrip("_").replace("_", "-")}' + ('' if value is True else f'="{escape(str(value))}"')
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in VOID_ELEMENTS:
        return Markup(f'<{tag}{named}>')
    return Markup(f'<{tag}{named}>{joined(contents)}</{tag}>')


def joined(contents: Iterable[Content]) -> Markup:
    """Return contents one after the other."""
    return Markup(
        ''.join(
            content if isinstance(content, Markup) else escape(content)
            for content in contents
            if content is not None
        )
    )


def breakable(name: str) -> Markup:
    """Return a name that may break after each of its words, as narrow columns need."""
    words = re.split(r'(?<=[_+/])', name)
    return joined([part for word in words for part in (word, element('wbr'))][:-1])


def picture(data: bytes, kind: str, alt: str) -> Markup:
    """Return an image whose file is in the page itself.

    Args:
        data: The file's bytes.
        kind: ``png`` or ``jpeg``.
        alt: What it shows, for those who do not see it.

    """
    source = f'data:image/{kind};base64,{b64encode(data).decode()}'
    return element('img', src=source, alt=alt, loading='lazy', decoding='async')


NONE = '\N{EN DASH}'
"""Stands for a figure that there is not."""


def number(value: float | None, digits: int = 1, *, sign: bool = False) -> str:
    """Return a figure as people read it, ``–`` for None, NaN and infinity."""
    if value is None or not abs(value) < float('inf'):
        return NONE
    text = f'{value:{"+" if sign else ""}.{digits}f}'
    return text.replace('-', '\N{MINUS SIGN}')
