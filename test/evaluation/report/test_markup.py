from __future__ import annotations

from html.parser import HTMLParser
from math import inf, nan

import pytest

from vss_ros.evaluation.report.markup import Markup, breakable, element, joined, number, picture

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


def test_whatever_comes_in_stays_text() -> None:
    parsed = Parsed(element('p', HOSTILE, element('b', 'x'), None, title=HOSTILE))
    assert parsed.tags == [('p', {'title': HOSTILE}), ('b', {})]
    assert parsed.text == HOSTILE + 'x'


def test_attributes() -> None:
    html = element('div', class_='a', data_value=1.5, hidden=True, tabindex=0, title=None, lang=False)
    assert html == '<div class="a" data-value="1.5" hidden tabindex="0"></div>'
    assert element('img', alt='') == '<img alt="">'


def test_only_markup_is_not_escaped() -> None:
    assert joined(['<', Markup('<i></i>'), None]) == '&lt;<i></i>'
    assert breakable('a_b<c+d') == 'a_<wbr>b&lt;c+<wbr>d'
    assert Parsed(breakable('flow_only_every_2nd')).text == 'flow_only_every_2nd'


def test_pictures_are_in_the_page() -> None:
    ((tag, attributes),) = Parsed(picture(b'\x89PNG', 'png', '"alt"')).tags
    assert tag == 'img'
    assert attributes['src'] == 'data:image/png;base64,iVBORw=='
    assert attributes['alt'] == '"alt"'


@pytest.mark.parametrize('value', [None, nan, inf, -inf])
def test_no_figure_is_a_dash(value: float | None) -> None:
    assert number(value) == '\N{EN DASH}'


def test_figures() -> None:
    assert number(71.449) == '71.4'
    assert number(-2.0, 2, sign=True) == '\N{MINUS SIGN}2.00'
    assert number(0.5, 0, sign=True) == '+0'
