"""`vss models`: machines can read it, damage is noticed."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from vss_ros.cli.main import main
from vss_ros.resources import resource

if TYPE_CHECKING:
    from pathlib import Path


def test_list_as_json(tmp_path: Path) -> None:
    assert main(['models', '--json', str(tmp_path / 'm.json')]) == 0
    listing = json.loads((tmp_path / 'm.json').read_text())
    assert set(listing) == {'backbones', 'propagations', 'schedulers', 'motion', 'tracks', 'models'}
    assert all('name' in row and 'paper' in row for rows in listing.values() for row in rows)
    parts = [row for heading, rows in listing.items() if heading != 'models' for row in rows]
    assert all(row['summary'] and row['combines_with'] for row in parts)
    external = next(row for row in parts if row['name'] == 'external')
    assert 'flow_warp' in external['combines_with']
    assert 'spatially_variant_conv' not in external['combines_with']
    assert {row['name'] for row in listing['tracks']} == {'blocking', 'fast_slow'}


def test_shipped_models_verify(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['models', 'verify']) == 0
    assert capsys.readouterr().out.count('ok') >= 3


def test_show_prints_the_card(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['models', 'show', 'efficientnet_lite0_fpn']) == 0
    assert 'sha256' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('name', 'rows'),
    [
        ('efficientnet_lite0_fpn', {'low', 'high', 'head', 'whole network'}),
        ('flow_warp', {'motion', 'propagation', 'scheduler', 'between key frames'}),
        ('predicted_deviation', {'scheduler', 'between key frames'}),
        ('dis', {'motion'}),
    ],
)
def test_show_tells_what_parts_cost(
    name: str, rows: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['models', 'show', name, '--size', '48x64', '--json', str(tmp_path / 'm.json')]) == 0
    shown = json.loads((tmp_path / 'm.json').read_text())
    costs = {row['part']: row for row in shown['costs']['parts']}
    assert rows <= set(costs)
    whole = costs['whole network']
    assert whole['parameters'] == sum(costs[part]['parameters'] for part in ('low', 'high', 'head'))
    assert whole['flops'] > 0
    assert all(row['milliseconds'] > 0 for row in costs.values() if row['part'] in rows)
    assert 'whole network' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('arguments', 'fault'),
    [
        (['nothing'], 'neither a part nor a model card'),
        (['flow_warp', '--size', '50x64'], 'multiples of 8'),
        (['spatially_variant_conv', '--model', 'external'], 'no features'),
    ],
)
def test_show_refuses(arguments: list[str], fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['models', 'show', *arguments]) != 0
    assert fault in capsys.readouterr().err


def test_damage_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = 'efficientnet_lite0_fpn'
    for suffix in ('.yaml', '.safetensors'):
        shutil.copy(resource('models') / f'{name}{suffix}', tmp_path)
    with (tmp_path / f'{name}.safetensors').open('r+b') as file:
        file.seek(5000)
        file.write(b'\0\1\2\3')
    assert main(['models', 'verify', str(tmp_path / f'{name}.yaml')]) == 1
    assert 'expected sha256' in capsys.readouterr().out
