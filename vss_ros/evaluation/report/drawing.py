"""What all plots share: colours, and the two forms in which each is kept."""

from __future__ import annotations

import re
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.text import Annotation

INK, GRID = '#0a0b0c', '#d2d3d4'
"""Of text and of grid lines; in the page they become the page's own, light or dark."""
OTHERS = '#8a8d91'
"""Of configurations that are not looked at closely."""
COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9')
"""Colour-blind people can tell them apart (Okabe and Ito), on white and on black."""
MARKERS = ('o', 's', '^', 'D', 'v', 'P')
"""One for each colour, so that colour alone says nothing."""
LONGEST_LABEL = 28
OFFSETS = ((7, 0), (-7, 0), (0, 8), (0, -8), (6, 7), (-6, 7), (6, -8), (-6, -8), (14, 12), (-14, -12))
"""Where a label may stand beside its point, in points of type; the first that is free is taken."""
STYLE: Any = {
    'font.family': ['DejaVu Sans'],
    'font.size': 9,
    'text.parse_math': False,
    'text.color': INK,
    'axes.edgecolor': INK,
    'axes.labelcolor': INK,
    'axes.titlesize': 9,
    'axes.titlelocation': 'left',
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'axes.axisbelow': True,
    'grid.color': GRID,
    'grid.linewidth': 0.6,
    'xtick.color': INK,
    'ytick.color': INK,
    'legend.frameon': False,
    'legend.fontsize': 8,
    'svg.fonttype': 'none',
    'svg.hashsalt': 'vss_ros',
    'savefig.dpi': 160,
}
styled = mpl.rc_context(STYLE)
"""Decorates every function that draws."""
NO_METADATA = {'Date': None, 'Creator': None, 'Format': None, 'Type': None}


class Drawing(NamedTuple):
    """A plot in both forms."""

    name: str
    """Of its file, without ending."""
    alt: str
    """What it shows, for those who do not see it."""
    svg: Markup
    """To stand in the page, drawn in the page's own colours."""
    png: bytes
    """On white."""


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure; width and height in inches, of 72 units of the text's size."""
    return Figure(figsize=(width, height), layout='constrained')


def new_axes(width: float, height: float, x: str, y: str) -> tuple[Figure, Axes]:
    """Return a figure of one plot, its axes labelled ``x`` and ``y``; sizes as for ``new_figure``."""
    figure = new_figure(width, height)
    return figure, figure.subplots(subplot_kw={'xlabel': x, 'ylabel': y})


def drawn(figure: Figure, name: str, alt: str) -> Drawing:
    """Return a finished figure as SVG for the page and as PNG."""
    png = BytesIO()
    figure.savefig(png, format='png', facecolor='white', metadata={'Software': None})
    figure.set_layout_engine('none')  # everything has its place now
    svg = StringIO()
    figure.savefig(svg, format='svg', transparent=True, metadata=NO_METADATA)
    return Drawing(name, alt, _inline(svg.getvalue(), name, alt), png.getvalue())


def _inline(svg: str, name: str, alt: str) -> Markup:
    """Return Matplotlib's SVG as a part of a page: names are its own, sizes and colours the page's."""
    start, _, body = svg[svg.index('<svg') :].partition('>')
    box = re.search(r'viewBox="[^"]*"', start)
    body = re.sub(r'<!--.*?-->|<style.*?</style>|<metadata>.*?</metadata>', '', body, flags=re.DOTALL)
    body = re.sub(r' id="', f' id="{name}-', body)
    body = re.sub(r'(href="#|url\(#)', rf'\g<1>{name}-', body)
    body = body.replace(INK, 'currentColor').replace(GRID, 'var(--grid)').replace('</svg>', '')
    opened = Markup('<svg role="img" aria-label="{}" {} stroke-linejoin="round">')
    return opened.format(alt, Markup(box.group() if box else '')) + Markup(f'{body.strip()}</svg>')


def whole_numbers(axis: Axis) -> None:
    """Put no ticks between whole numbers."""
    axis.set_major_locator(MaxNLocator(integer=True))


def label(text: str) -> str:
    """Return a name fit for a plot: one line, not long, nothing that cannot be printed."""
    plain = ''.join(letter if letter.isprintable() else ' ' for letter in text)
    words = ' '.join(plain.split())
    return words if len(words) <= LONGEST_LABEL else f'{words[: LONGEST_LABEL - 1]}…'


def place_labels(axes: Axes, labels: Sequence[tuple[float, float, str]]) -> None:
    """Write texts beside points so that few overlap: each, in order, where most room is left.

    Args:
        axes: Where the points are; its limits are final.
        labels: Position in data coordinates, and text; the most important first.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    points = axes.transData.transform([(x, y) for x, y, _ in labels])
    taken = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in points]
    frame = axes.get_window_extent()
    for x, y, text in labels:
        tried: list[tuple[int, int, tuple[int, int], Bbox]] = []
        for dx, dy in OFFSETS:
            mark = _beside(axes, (x, y), (dx, dy), text)
            box = mark.get_window_extent()
            mark.remove()
            crowd = sum(box.overlaps(other) for other in taken)
            outside = not (frame.contains(*box.min) and frame.contains(*box.max))
            tried.append((crowd + 3 * outside, len(tried), (dx, dy), box))
        _, _, offset, box = min(tried, key=lambda entry: entry[:2])
        _beside(axes, (x, y), offset, text)
        taken.append(box)


def _beside(axes: Axes, point: tuple[float, float], offset: tuple[float, float], text: str) -> Annotation:
    # A text to the right of its point begins there, one above stands on it.
    across, along = (int(np.sign(shift)) for shift in offset)
    return axes.annotate(
        text, point, offset, textcoords='offset points', fontsize=8, in_layout=False,
        ha=('center', 'left', 'right')[across], va=('center', 'bottom', 'top')[along],
    )  # fmt: skip
