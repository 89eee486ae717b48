"""The page around a report's sections: complete in itself, it asks nothing of any network."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

from vss_ros.evaluation.report.markup import Markup, element, joined
from vss_ros.evaluation.report.style import SORT, STYLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vss_ros.evaluation.report.drawing import Drawing
    from vss_ros.evaluation.report.markup import Content


def page(title: str, sections: Sequence[Content]) -> str:
    """Return a whole page.

    Its content security policy lets nothing in but the styles, the pictures and the one script that are in
    it: whatever a bag or a configuration is called cannot run, and nothing is ever fetched.

    Args:
        title: Of the window.
        sections: What it shows.

    """
    script = f"'sha256-{b64encode(sha256(SORT.encode()).digest()).decode()}'"
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {script}"
    head = element(
        'head',
        element('meta', charset='utf-8'),
        element('meta', http_equiv='Content-Security-Policy', content=policy),
        element('meta', name='viewport', content='width=device-width, initial-scale=1'),
        element('title', title),
        element('style', Markup(STYLE)),
    )
    body = element('body', element('main', *sections), element('script', Markup(SORT)))
    return f'<!DOCTYPE html>\n{element("html", head, body, lang="en")}\n'


def section(title: str, *contents: Content) -> Markup:
    """Return a part of the page under a heading."""
    return element('section', element('h2', title), *contents)


def plot(drawing: Drawing | None, caption: str, *, long: bool = False) -> Markup | None:
    """Return a plot with what it shows written below; None for none.

    Args:
        drawing: The plot.
        caption: Below it.
        long: Whether a narrow screen scrolls through it rather than shrink it.

    """
    if drawing is None:
        return None
    # What scrolls must be reached by the keyboard.
    return element(
        'figure', drawing.svg, element('figcaption', caption), class_='long' if long else None,
        tabindex=0 if long else None,
    )  # fmt: skip


def wide(table: Markup, name: str) -> Markup:
    """Return a table that scrolls by itself where the screen is narrow."""
    return element('div', table, class_='wide', tabindex=0, role='region', aria_label=name)


def table(caption: str, heads: Sequence[Content], rows: Sequence[Sequence[Content]]) -> Markup:
    """Return a plain table; the first column names the rows, texts stand left.

    Args:
        caption: What it shows.
        heads: Of the columns.
        rows: The cells.

    """
    head = element('tr', *(element('th', name, scope='col') for name in heads))
    lines = (
        element('tr', element('th', first, scope='row'), *(element('td', cell) for cell in cells))
        for first, *cells in rows
    )
    body = element('tbody', *lines)
    return wide(element('table', element('caption', caption), element('thead', head), body), caption)


def paragraphs(texts: Sequence[str], class_: str | None = None) -> Markup:
    """Return a paragraph for each text."""
    return joined([element('p', text, class_=class_) for text in texts])
