from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from report_parts import configuration, evaluated, three, write_results

from vss_ros.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path


def results(folder: Path, wrong: float) -> str:
    """Write the results of one configuration."""
    config = configuration('swift')
    return str(write_results(folder, [(config, [evaluated(config, wrong, 20.0)])]))


def test_report_names_its_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = three(tmp_path / 'out')
    assert main(['report', str(folder), '--look-at', 'careful', '--json', str(tmp_path / 'r.json')]) == 0
    assert capsys.readouterr().out.strip() == str(folder / 'report.html')
    assert 'A close look at careful' in (folder / 'report.html').read_text(encoding='utf-8')
    told = json.loads((tmp_path / 'r.json').read_text(encoding='utf-8'))
    assert told['verdict']['accurate'] == 'careful'


@pytest.mark.parametrize(
    ('limit', 'status'), [([], 0), (['--fail-below', '30'], 0), (['--fail-below', '1'], 1)]
)
def test_compare_can_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], limit: list[str], status: int
) -> None:
    before, after = results(tmp_path / 'a', 0.1), results(tmp_path / 'b', 0.12)
    page = tmp_path / 'difference.html'
    assert main(['report', 'compare', before, after, '-o', str(page), *limit]) == status
    said = capsys.readouterr()
    assert 'worse' in said.out
    assert ('swift' in said.err) == bool(status)
    assert page.read_text(encoding='utf-8').startswith('<!DOCTYPE html>')


def test_json_goes_alone_to_the_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = results(tmp_path / 'a', 0.1)
    assert main(['report', 'compare', before, before, '--json', '-', '--fail-below', '0']) == 0
    told = json.loads(capsys.readouterr().out)
    assert told['configurations'][0]['figures']['score']['difference'] == 0
    assert told['fallen'] == []


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['nowhere'], 'expected the results of'),
        (['a', 'b'], 'expected one folder'),
        (['compare', 'a'], 'compare A B'),
        (['a', '--fail-below', '1'], 'compare A B'),
        (['compare', 'a', 'b', '--fail-below', '-1'], '0 or more points'),
    ],
)
def test_misuse_is_told(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['report', *arguments]) == 2
    assert message in capsys.readouterr().err
