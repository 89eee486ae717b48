"""`vss models add`: a card that works, or nothing at all."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from network_files import Then, add, export, plain

from vss_ros.cli.main import main
from vss_ros.resources import resource


@pytest.fixture(scope='module')
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a program that takes 48x64 only."""
    return export(plain(), tmp_path_factory.mktemp('exported') / 'mine.pt2')


@pytest.fixture
def file(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(exported, tmp_path / 'mine.pt2'))


def test_the_card_verifies_wherever_it_is_carried(file: Path, tmp_path: Path) -> None:
    card = add(file, '--json', str(tmp_path / 'j.json'))
    assert sorted(path.name for path in card.parent.iterdir()) == ['mine.pt2', 'mine.yaml']
    assert json.loads((tmp_path / 'j.json').read_text())['stride'] == 4
    values = yaml.safe_load(card.read_text())
    assert (values['builder'], values['input_size'], values['file']) == ('external', [48, 64], 'mine.pt2')
    assert values['parameters'] == sum(p.numel() for p in plain().parameters())
    file.unlink()
    moved = card.parent.rename(tmp_path / 'robot')
    assert main(['models', 'verify', str(moved / 'mine.yaml')]) == 0


def test_a_class_table_of_ones_own_travels_with_the_card(file: Path, tmp_path: Path) -> None:
    table = yaml.safe_load(resource('config', 'classes', 'camvid11.yaml').read_text())
    table['classes'][0]['name'] = 'firmament'
    own = tmp_path / 'own.yaml'
    own.write_text(yaml.safe_dump(table))
    card = add(file, '--name', 'sky', classes=str(own)).with_name('sky.yaml')
    own.unlink()
    moved = card.parent.rename(tmp_path / 'robot') / card.name
    from vss_ros.engine.model_card import read_card
    from vss_ros.images.classes import load_classes

    read = read_card(moved)
    assert read.class_names[0] == 'firmament'
    assert load_classes(read.classes).names == read.class_names
    # A folder of cards, as models/ is, holds no other .yaml.
    assert [path.name for path in moved.parent.glob('*.yaml')] == ['sky.yaml']


def test_a_card_is_replaced_only_when_asked(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = add(file)
    before = card.read_bytes()
    add(file, '--mean', '0', '0', '0', exit_code=2)
    assert 'add --overwrite' in capsys.readouterr().err
    assert card.read_bytes() == before
    add(file, '--mean', '0', '0', '0', '--overwrite')
    assert yaml.safe_load(card.read_text())['mean'] == [0, 0, 0]


def test_a_network_that_fails_leaves_the_old_card(file: Path) -> None:
    card = add(file)
    before = {path.name: path.read_bytes() for path in card.parent.iterdir()}
    export(Then(plain(), 'not finite'), file)
    add(file, '--overwrite', exit_code=2)
    assert {path.name: path.read_bytes() for path in card.parent.iterdir()} == before


def test_a_failure_to_write_leaves_nothing(file: Path, tmp_path: Path) -> None:
    (tmp_path / 'cards' / 'mine.pt2').mkdir(parents=True)  # in the way of the copy
    card = add(file, exit_code=2)
    assert [path.name for path in card.parent.iterdir()] == ['mine.pt2']


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (('--size', '96x128'), '48x64, the only one'),
        (('--size', 'large'), 'HEIGHTxWIDTH'),
        (('--name', 'a/b'), 'without a folder'),
        (('--name', '.hidden'), 'without a folder'),
        (('--name', 'red\x1b[31m'), 'without control characters'),
        (('--mean', 'nan', '0', '0'), 'mean'),
        (('--std', '1', '0', '1'), 'three positive numbers'),
        (('--classes', 'nonsense'), 'class table'),
        (('--classes', 'cityscapes19'), '19 classes'),
    ],
)
def test_options_that_do_not_fit_are_refused(
    file: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    card = add(file, *options, exit_code=2)
    assert said in capsys.readouterr().err
    assert not card.parent.exists()


def test_an_archive_that_is_no_program_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    torch.save({'weights': torch.zeros(3)}, tmp_path / 'saved.pt2')
    add(tmp_path / 'saved.pt2', exit_code=2)
    assert len((said := capsys.readouterr().err).splitlines()) == 1
    assert 'expected an exported PyTorch program' in said
    assert not caplog.records


def test_file_and_classes_are_asked_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(['models', 'add']) == 2
    assert main(['models', 'add', str(tmp_path / 'none.onnx')]) == 2
    assert capsys.readouterr().err.count('e.g.: vss models add') == 2
    assert main(['models', 'add', str(tmp_path / 'none.onnx'), '--classes', 'camvid11']) == 2
    assert 'found none' in capsys.readouterr().err


def test_the_card_is_shown_without_costs(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['models', 'show', str(add(file))]) == 0
    assert 'not counted' in capsys.readouterr().out


def test_a_program_runs_only_where_its_maker_is_trusted(tmp_path: Path) -> None:
    """In processes of their own: a hash that was trusted once stays so in one."""

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / 'ran',)

    mine = export(plain(), tmp_path / 'mine.pt2')
    card = add(mine)
    with zipfile.ZipFile(mine) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    inputs = next(name for name in parts if 'sample_inputs' in name)
    with zipfile.ZipFile(card.with_suffix('.pt2'), 'w') as archive:
        for name, data in (parts | {inputs: pickle.dumps(Evil())}).items():
            archive.writestr(name, data)
    values = yaml.safe_load(card.read_text())
    values['sha256'] = hashlib.sha256(card.with_suffix('.pt2').read_bytes()).hexdigest()
    card.write_text(yaml.safe_dump(values))
    image = tmp_path / 'frames' / '0.png'
    image.parent.mkdir()
    cv2.imwrite(str(image), np.zeros((48, 64, 3), np.uint8))
    segment = ['segment', image.parent, '-o', tmp_path / 'out', '--model', card, '--propagation', 'none']
    add_it = ['models', 'add', card.with_suffix('.pt2'), '--classes', 'camvid11', '-o', tmp_path / 'more']
    said = {}
    for name, command in {'segment': segment, 'verify': ['models', 'verify', card], 'add': add_it}.items():
        program = [sys.executable, '-m', 'vss_ros.cli.main', *map(str, command)]
        done = subprocess.run(program, capture_output=True, text=True, check=False)
        said[name] = done.returncode, done.stderr
        assert not (tmp_path / 'ran').exists()
    assert said['verify'] == (0, '')
    for name in ('segment', 'add'):
        assert said[name][0] == 2
        assert '--trust' in said[name][1]
    subprocess.run([sys.executable, '-m', 'vss_ros.cli.main', *map(str, segment), '--trust'], check=False)
    assert (tmp_path / 'ran').exists()
