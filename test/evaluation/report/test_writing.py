from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import pytest
from report_parts import FRAMES, configuration, evaluated, three, write_results

from vss_ros.evaluation.report.findings import read_findings
from vss_ros.evaluation.report.sections import options
from vss_ros.evaluation.report.writing import write_report

if TYPE_CHECKING:
    from vss_ros.evaluation.replay.result import Evaluated
    from vss_ros.evaluation.sweep.configuration import EvaluationConfig

HOSTILE = '<script>alert("1")</script>'
WHOLE = configuration('per_frame', 'none')
FETCHING = frozenset({'src', 'href', 'xlink:href', 'srcset', 'data', 'action', 'poster', 'background'})
VOID = frozenset({'img', 'meta', 'wbr', 'br', 'input', 'link'})


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, html: str) -> None:
        """Parse, and refuse what is not closed as it was opened."""
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.cells: list[list[str]] = []
        self.headings: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append((tag, {name: value or '' for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)
        if tag == 'tr':
            self.cells.append([])
        if tag in {'td', 'th'}:
            self.cells[-1].append('')
        if tag in {'h1', 'h2', 'h3'}:
            self.headings.append('')

    def handle_endtag(self, tag: str) -> None:
        """Close a tag."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note text."""
        if {'td', 'th'} & set(self._open):
            self.cells[-1][-1] += data
        if {'h1', 'h2', 'h3'} & set(self._open):
            self.headings[-1] += data

    def all(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of all tags of a kind."""
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope='module')
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page, Path]:
    """Return a report of a bag and of configurations with names that mean harm."""
    folder = tmp_path_factory.mktemp('results')
    names = (f'{HOSTILE}_$x_{{', '_"&\' ]]>-->')
    html = write_report(three(folder, f'bags/{HOSTILE}', names)).read_text(encoding='utf-8')
    return html, Page(html), folder


def test_sections_come_in_the_order_of_their_use(hostile: tuple[str, Page, Path]) -> None:
    _, page, _ = hostile
    titles = [
        text for text in page.headings if not text.startswith(('A close look', 'The 10', 'Best', 'Soonest'))
    ]
    assert titles == [
        'Replay evaluation: what would the planner have seen?',
        'Verdict',
        'Configurations',
        'Accuracy, latency and cost',
        'Inputs',
    ]
    assert sum(text.startswith('A close look at') for text in page.headings) == 2
    assert page.headings[2:4] == [
        'Best with worst latency at most 50 % of per-frame',
        'Soonest with at most 2 mIoU lost',
    ]


def verdict(folder: Path) -> list[str]:
    """Return the paragraphs of the verdict in a folder's report."""
    section = write_report(folder).read_text(encoding='utf-8').partition('<h2>Verdict</h2>')[2]
    return re.findall('<p[^>]*>(.*?)</p>', section)


def test_verdict_has_its_figures_and_how_to_get_them(tmp_path: Path) -> None:
    findings = read_findings(three(tmp_path / 'both'))
    assert verdict(tmp_path / 'both')[:2] == [
        'swift',
        '66.7 mIoU, worst 20.0 ms: 20 % of the latency, -15.2 mIoU',
    ]
    assert options(findings.configurations[2])[1:] == [
        '--propagation flow_warp',
        '--scheduler fixed_interval',
        '--track fast_slow',
        '--interval 2',
    ]
    found = [(c, [evaluated(c, wrong, 100.0)]) for c, wrong in ((WHOLE, 0.1), (configuration('bad'), 0.2))]
    assert verdict(write_results(tmp_path / 'neither', found))[:2] == [
        'none',
        'nearest is per_frame (81.8 mIoU, worst 100.0 ms)',
    ]


def test_nothing_comes_from_outside(hostile: tuple[str, Page, Path]) -> None:
    html, page, _ = hostile
    asked = [
        (tag, value)
        for tag, attributes in page.tags
        for name, value in attributes.items()
        if name in FETCHING and not value.startswith(('data:image/', '#'))
    ]
    assert asked == []
    assert not [tag for tag, _ in page.tags if tag in {'link', 'iframe', 'object', 'embed', 'base', 'form'}]
    addresses = set(re.findall(r'https?://[^"\'\s<)]+', html))
    assert addresses <= {'http://www.w3.org/2000/svg', 'http://www.w3.org/1999/xlink'}, 'names, never fetched'
    assert not re.search(r'@import|url\((?!#)', html)
    (policy,) = [meta['content'] for meta in page.all('meta') if meta.get('http-equiv')]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "'unsafe-inline'" not in policy.partition('script-src')[2]


def test_names_run_nothing(hostile: tuple[str, Page, Path]) -> None:
    html, page, _ = hostile
    assert page.all('script') == [{}]
    assert 'alert(' not in html.partition('<script>')[2]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith('on')]
    named = [cells[0] for cells in page.cells]
    assert f'2 {HOSTILE}_$x_{{ best if fast' in named
    assert f'bags/{HOSTILE}' in named


def test_everything_has_its_name(hostile: tuple[str, Page, Path]) -> None:
    _, page, _ = hostile
    assert all(image['alt'] for image in page.all('img'))
    plots = [svg for svg in page.all('svg') if svg.get('role') == 'img']
    assert len(plots) == 5 + 2 * 3
    assert all(svg['aria-label'] for svg in plots)
    names = [attributes['id'] for _, attributes in page.tags if 'id' in attributes]
    assert len(set(names)) == len(names)
    wanted = [
        a[key][1:] for _, a in page.tags for key in ('href', 'xlink:href') if a.get(key, '').startswith('#')
    ]
    clips = re.findall(r'url\(#([^)]+)\)', hostile[0])
    assert wanted
    assert set(wanted + clips) <= set(names)


def test_worst_frames_are_shown_side_by_side(hostile: tuple[str, Page, Path]) -> None:
    html, page, _ = hostile
    images = page.all('img')
    assert len(images) == 2 * 10 * 3
    kinds = [image['src'].partition(';')[0] for image in images]
    assert kinds == ['data:image/jpeg', 'data:image/png', 'data:image/png'] * 20
    assert html.count('<li>') == 2 * 12, 'void and eleven classes'


def test_files_beside_the_page(hostile: tuple[str, Page, Path]) -> None:
    _, page, folder = hostile
    plots = {file.name for file in (folder / 'plots').iterdir()}
    assert {'accuracy_latency.png', 'pda.png', 'cca_flops.png', 'cca_ms.png', 'classes.png'} < plots
    assert len(plots) == 5 + 2 * 3
    for name in plots:
        drawing = cv2.imread(str(folder / 'plots' / name))
        assert drawing is not None
        assert drawing.shape[0] > 200
        assert drawing.std() > 10
    told = json.loads((folder / 'report.json').read_text(encoding='utf-8'))
    assert told['verdict']['fast'] == f'{HOSTILE}_$x_{{'
    assert told['units']['score'] == '%'
    row = next(cells for cells in page.cells if cells[0].startswith('2 '))
    assert row[1] == f'{told["configurations"][1]["score"]:.1f}'
    assert row[3] == f'{told["configurations"][1]["latency_max"]:.1f}'


def test_figures_that_are_not_there_are_dashes(hostile: tuple[str, Page, Path]) -> None:
    html, page, _ = hostile
    heads = next(cells for cells in page.cells if cells[0].startswith('configuration'))
    row = next(cells for cells in page.cells if cells[0].startswith('1 per_frame'))
    shown = dict(zip((head.rstrip('%') for head in heads), row, strict=True))
    assert shown['boundary F'] == shown['steadiness'] == shown['as a stream'] == '\N{EN DASH}'
    assert 'nan' not in re.sub(r'base64,[^"]*', '', html).lower().replace('pedestrian', '')
    assert 'None' not in re.sub(r'base64,[^"]*', '', html)


def test_times_are_said_to_be_of_this_machine(hostile: tuple[str, Page, Path]) -> None:
    assert 'Times are of one machine: Test CPU, 2 threads, PyTorch 9.9, 2026-01-02.' in hostile[0]
    assert 'Times are of one replay, in which one busy moment' in hostile[0]


def test_of_how_many_replays_times_are_the_medians_is_said(tmp_path: Path) -> None:
    found = [(c, evaluated(c, 0.1, 100.0)) for c in (WHOLE, configuration('swift'))]
    thrice = [(c, [replace(e, timing=replace(e.timing, replays=3, spread=1.2))]) for c, e in found]
    html = write_report(write_results(tmp_path, thrice)).read_text(encoding='utf-8')
    assert 'time is the median of 3 replays, streaming accuracy is with these.' in html
    assert 'this machine was busy' not in html
    assert [entry['replays'] for entry in read_findings(tmp_path).evaluation.timings] == [3, 3]
    swift = thrice[1][1][0]
    thrice[1] = (thrice[1][0], [swift, replace(swift, timing=replace(swift.timing, spread=2.44))])
    html = write_report(write_results(tmp_path, thrice)).read_text(encoding='utf-8')
    assert 'took up to 2.4 times as long in one replay as in another: this machine was busy' in html


def results_of(folder: Path, **settings: Any) -> Path:
    """Write the results of a single configuration."""
    config = configuration('swift')
    return write_results(folder, [(config, [evaluated(config, 0.1, 20.0, **settings)])])


def test_agreement_is_never_called_miou_and_no_picture_is_made_up(tmp_path: Path) -> None:
    folder = results_of(tmp_path, truth='per_frame')
    for file in (folder / 'worst').iterdir():
        file.unlink()
    html = write_report(folder).read_text(encoding='utf-8')
    page = Page(html)
    heads = next(cells for cells in page.cells if cells[0].startswith('configuration'))
    assert heads[1] == 'agreement%'
    assert 'Nobody drew true masks' in html
    assert 'The 10 worst frames' in page.headings
    assert page.all('img') == []


def test_again_with_another_closeup(hostile: tuple[str, Page, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(hostile[2], tmp_path / 'again'))
    before = {file.name for file in (folder / 'plots').iterdir()}
    assert {'timeline_02.png', 'timeline_03.png'} <= before
    page = Page(write_report(folder, ['per_frame']).read_text(encoding='utf-8'))
    after = {file.name for file in (folder / 'plots').iterdir()}
    assert {name for name in after if name.startswith('timeline')} == {'timeline_01.png'}
    assert 'A close look at per_frame' in page.headings


def played(config: EvaluationConfig, drops: dict[str, int], rate: float) -> Evaluated:
    """Return what a live run of a configuration gave."""
    found = evaluated(config, 0.1, 20.0)
    delays = tuple(float(ms) for ms in range(30, 30 + FRAMES))
    return replace(
        found,
        result=replace(found.result, drops=drops),
        timing=replace(found.timing, subscriber_ms=delays, played_rate=rate),
    )


def test_a_live_run_tells_drops_by_cause_delays_and_the_speed_that_was_kept(tmp_path: Path) -> None:
    swift, slow = configuration('swift').as_live(3.0), configuration('slow').as_live(3.0)
    runs = [(swift, [played(swift, {'overwritten': 66, 'mask_lost': 2}, 2.998)])]
    runs.append((slow, [played(slow, {'transport': 7, 'overwritten': 1}, 2.5), played(slow, {}, 3.0)]))
    html = write_report(write_results(tmp_path, runs)).read_text(encoding='utf-8')
    page = Page(html)
    assert page.headings[0] == 'Live evaluation: what did the planner see?'
    assert '<title>Live evaluation</title>' in html
    heads = ['configuration', 'images', 'answered', 'mask lost', 'overwritten', 'transport']
    rows = page.cells[page.cells.index([*heads, 'speed asked for', 'speed kept']) + 1 :]
    assert rows[0] == ['swift', '92', '24', '2', '66', '0', '3.00', '3.00']
    assert rows[1] == ['slow', '56', '48', '0', '1', '7', '3.00', '2.50']
    assert 'too slow to play at the speed asked for: slow;' in html
    heads = next(cells for cells in page.cells if 'worst at subscriberms' in cells)
    overview = dict(zip(heads, next(cells for cells in page.cells if cells[0].startswith('1 ')), strict=True))
    assert (overview['worst at subscriberms'], overview['p50 at subscriberms']) == ('53.0', '41.5')
    assert 'median of' not in html
    told = json.loads((tmp_path / 'report.json').read_text(encoding='utf-8'))
    assert (told['configurations'][0]['subscriber_max'], told['units']['subscriber_max']) == (53.0, 'ms')


def test_a_replay_tells_nothing_of_subscribers(hostile: tuple[str, Page, Path]) -> None:
    assert 'at subscriber' not in hostile[0]
    assert 'What became of the images' not in hostile[1].headings
