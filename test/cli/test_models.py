"""`vss models`: machines can read it, damage is noticed."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from vss_ros.cli.main import main
from vss_ros.resources import resource

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_list_as_json(tmp_path: Path) -> None:
    assert main(['models', '--json', str(tmp_path / 'm.json')]) == 0
    listing = json.loads((tmp_path / 'm.json').read_text())
    assert set(listing) == {'backbones', 'propagations', 'schedulers', 'tracks', 'models'}
    assert all('name' in row and 'paper' in row for rows in listing.values() for row in rows)
    assert {row['name'] for row in listing['tracks']} == {'blocking', 'fast_slow'}


def test_shipped_models_verify(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['models', 'verify']) == 0
    assert capsys.readouterr().out.count('ok') >= 3


def test_show_prints_the_card(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['models', 'show', 'efficientnet_lite0_fpn']) == 0
    assert 'sha256' in capsys.readouterr().out


def test_damage_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = 'efficientnet_lite0_fpn'
    for suffix in ('.yaml', '.safetensors'):
        shutil.copy(resource('models') / f'{name}{suffix}', tmp_path)
    with (tmp_path / f'{name}.safetensors').open('r+b') as file:
        file.seek(5000)
        file.write(b'\0\1\2\3')
    assert main(['models', 'verify', str(tmp_path / f'{name}.yaml')]) == 1
    assert 'expected sha256' in capsys.readouterr().out
