"""A network learns what a labelling tool exported; its score stands beside the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaml
from data_trees import picture, write_png

from vss_ros.cli.main import main
from vss_ros.datasets.exported import table_of, write_table
from vss_ros.engine.model_card import read_card
from vss_ros.images.classes import load_classes
from vss_ros.training import finetune as module

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (64, 96)


def labelled(folder: Path, classes: int, count: int = 11) -> Path:
    for number in range(count):
        write_png(folder / f'images/{number:02}.png', picture(number, SIZE))
        write_png(folder / f'labels/{number:02}.png', np.full(SIZE, number % classes, np.uint8))
    return folder


def teach(tmp_path: Path, *words: str) -> int:
    places = ['--runs', str(tmp_path / 'runs'), '-o', str(tmp_path / 'out'), '--threads', '1', '--steps', '2']
    return main(['train', '--finetune', 'efficientnet_lite0_fpn', *places, *words])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, 'EPOCHS', 2)
    monkeypatch.setattr(module, 'BATCH', 2)
    monkeypatch.setattr(module, 'MOST_CROP', (32, 64))


@pytest.mark.slow
@pytest.mark.usefixtures('small')
def test_the_same_classes_have_a_score_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = labelled(tmp_path / 'mine', 11)
    assert teach(tmp_path, '--data', str(folder), '--classes', 'camvid11') == 0
    card = read_card(tmp_path / 'out/efficientnet_lite0_fpn_mine.yaml')
    assert card.class_names == load_classes('camvid11').names
    assert card.scores['before'].keys() == {'mine_val_miou'}
    assert f'mIoU {100 * card.scores["mine_val_miou"]:.1f}, before ' in capsys.readouterr().out
    place = tmp_path / 'runs/efficientnet_lite0_fpn_mine'
    assert len(list((place / 'data/val').iterdir())) == 1
    recipe = yaml.safe_load((place / 'efficientnet_lite0_fpn_mine.yaml').read_text())
    assert (recipe['epochs'], recipe['images_per_epoch']) == (2, 2)  # steps, however many images
    assert recipe['data']['mine']['size'] == [352, 512]  # the area that the network is used to


@pytest.mark.slow
@pytest.mark.usefixtures('small')
def test_other_classes_are_learned_anew_and_scored_on_a_test(tmp_path: Path) -> None:
    folder, test = labelled(tmp_path / 'mine', 3), labelled(tmp_path / 'test', 3, 2)
    for each in (folder, test):
        write_table(table_of(['floor', 'wall', 'door']), each / 'classes.yaml')
    assert teach(tmp_path, '--data', str(folder), '--test', str(test)) == 0
    card = read_card(tmp_path / 'out/efficientnet_lite0_fpn_mine.yaml')
    assert card.class_names == ('floor', 'wall', 'door')
    before = card.scores['before']  # of its own classes, each read as one of the new
    assert before['read_as'].keys() == {*load_classes('camvid11').names}
    assert {*before['read_as'].values()} <= {'floor', 'wall', 'door'}
    assert 0 <= before['mine_val_miou'] <= 1
    data = tmp_path / 'runs/efficientnet_lite0_fpn_mine/data'
    assert [len(list((data / name).iterdir())) for name in ('train', 'val', 'valannot')] == [11, 2, 2]


@pytest.mark.parametrize(
    ('words', 'fault'),
    [
        ([], 'with one --data FOLDER'),
        (['recipe.yaml', '--data', 'a'], 'expected recipes, or --finetune CARD with one --data FOLDER, or'),
        (['--data', 'few', '--classes', 'camvid11'], 'expected 10 labelled images or more, got 1'),
        (['--data', 'nowhere'], 'expected images with masks'),
    ],
)
def test_refuses(
    tmp_path: Path, words: list[str], fault: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    labelled(tmp_path / 'few', 1, 1)
    monkeypatch.chdir(tmp_path)
    assert teach(tmp_path, *words) == 2
    assert fault in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
