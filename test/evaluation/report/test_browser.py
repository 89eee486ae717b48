"""The report in a real browser: what people see, on a desk, on a phone, in the dark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser import NAMES, Browser, installed_browser
from report_parts import three

from vss_ros.evaluation.report.writing import write_report

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = installed_browser()
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason=f'needs a Chromium to look at pages: none of {", ".join(NAMES)} is installed'
)


@pytest.fixture(scope='module')
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a report whose bag has a name that means harm."""
    return write_report(three(tmp_path_factory.mktemp('results'), '<script>document.title="owned"</script>'))


@pytest.fixture
def desk(report: Path, tmp_path: Path) -> Browser:
    """Return the report on a desk."""
    browser = Browser(str(PROGRAM), tmp_path / 'profile', (1200, 900))
    browser.open(report)
    return browser


def test_verdict_is_what_one_sees_first(desk: Browser, report: Path) -> None:
    with desk:
        answers = desk.evaluate('[...document.querySelectorAll(".card .answer")].map(p => p.innerText)')
        assert answers == ['swift', 'careful']
        bottom = desk.evaluate('document.querySelector(".cards").getBoundingClientRect().bottom')
        assert bottom < 900, 'without scrolling'
        broken = desk.evaluate(
            'Promise.all([...document.images].map(i => { i.loading = "eager"; return i.decode() }))'
            '.then(all => [...document.images].filter(image => !image.naturalWidth).length)'
        )
        assert broken == 0
        assert desk.evaluate('document.title') == 'Replay evaluation'
        assert desk.complaints == []
        assert desk.requests == [report.resolve().as_uri()], 'nothing but the page itself'
        assert desk.screenshot().std() > 10


def test_what_goes_wrong_in_a_page_is_noticed(tmp_path: Path) -> None:
    bad = tmp_path / 'bad.html'
    bad.write_text('<!DOCTYPE html><img src="http://192.0.2.1/x.png" alt=""><script>missing()</script>')
    with Browser(str(PROGRAM), tmp_path / 'profile', (400, 400)) as browser:
        browser.open(bad)
        assert any('missing is not defined' in complaint for complaint in browser.complaints)
        assert 'http://192.0.2.1/x.png' in browser.requests


def test_a_click_sorts_the_table(desk: Browser) -> None:
    click = 'document.querySelector("th[data-key=score] button").click(); '
    rows = '[...document.querySelector("table").tBodies[0].rows]'
    names = f'{rows}.map(row => row.cells[0].innerText.split(/\\s+/)[1])'
    with desk:
        order = desk.evaluate(names)
        rising, falling = desk.evaluate(f'{click}{names}'), desk.evaluate(f'{click}{names}')
        assert order == ['per_frame', 'swift', 'careful']
        assert rising == ['swift', 'careful', 'per_frame']
        assert falling == rising[::-1]
        assert desk.evaluate('document.querySelector("th[data-key=score]").ariaSort') == 'descending'
        assert desk.complaints == []


def test_on_a_phone_at_night(report: Path, tmp_path: Path) -> None:
    with Browser(str(PROGRAM), tmp_path / 'profile', (360, 740), dark=True) as phone:
        phone.open(report)
        assert phone.evaluate('document.documentElement.scrollWidth') == 360, 'no scrolling sideways'
        sizes = phone.evaluate(
            '[...document.querySelectorAll(".plots svg text")].map(t => t.getBoundingClientRect().height)'
        )
        assert min(sizes) > 6, 'pixels'
        assert phone.screenshot().mean() < 80, 'dark'
        assert phone.complaints == []
