from __future__ import annotations

from html.parser import HTMLParser
from math import inf, nan
from typing import Any

import pytest
from jinja2 import UndefinedError

from vss_ros.evaluation.report.figures import number
from vss_ros.evaluation.report.writing import breakable, render

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>&amp;\''


class Parsed(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        """Parse."""
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ''
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


def hostile_page() -> Parsed:
    """Return a page all of whose values mean harm."""
    cell = {'figure': HOSTILE, 'change': HOSTILE, 'colour': HOSTILE}
    values: dict[str, Any] = dict.fromkeys(('title', 'before', 'after', 'summary', 'about'), HOSTILE)
    rows = [[HOSTILE, cell]]
    return Parsed(render('comparison.html', notices=[HOSTILE], heads=[HOSTILE, HOSTILE], rows=rows, **values))


def test_every_value_stays_text() -> None:
    parsed = hostile_page()
    tags = [tag for tag, _ in parsed.tags]
    assert tags.count('script') == 1
    assert 'img' not in tags
    assert parsed.text.count(HOSTILE) == 12
    assert [attributes['class'] for tag, attributes in parsed.tags if tag == 'span' and attributes] == [
        HOSTILE
    ]


def test_a_value_that_a_template_lacks_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render('comparison.html', title='')


def test_only_markup_is_not_escaped() -> None:
    assert breakable('a_b<c+d') == 'a_<wbr>b&lt;c+<wbr>d'
    assert Parsed(breakable('flow_only_every_2nd')).text == 'flow_only_every_2nd'


@pytest.mark.parametrize('value', [None, nan, inf, -inf])
def test_no_figure_is_a_dash(value: float | None) -> None:
    assert number(value) == '\N{EN DASH}'


def test_figures() -> None:
    assert number(71.449) == '71.4'
    assert number(-2.0, 2, sign=True) == '\N{MINUS SIGN}2.00'
    assert number(0.5, 0, sign=True) == '+0'
