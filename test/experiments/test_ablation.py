"""An ablation trains its recipes alike, goes on where it stopped, and puts them into one table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import yaml
from engine_parts import backbone
from motion_parts import smooth

from experiments.ablation import main, read_ablation, table
from vss_ros.engine.model_card import ModelCard, save_card
from vss_ros.errors import VssError
from vss_ros.images.classes import load_classes
from vss_ros.resources import resource
from vss_ros.training.recipe import read_recipe

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (64, 96)


def write_data(folder: Path) -> None:
    """Write two stills to train on and a drive of twelve frames to score on."""
    rng = np.random.default_rng(0)
    for split, count in (('train', 2), ('val', 12)):
        for name in (split, f'{split}annot'):
            (folder / name).mkdir(parents=True)
        for i in range(count):
            labels = np.kron(rng.integers(0, 11, (8, 12), dtype=np.uint8), np.ones((8, 8), np.uint8))
            cv2.imwrite(str(folder / split / f'drive_{i:06d}.png'), smooth(i, SIZE))
            cv2.imwrite(str(folder / f'{split}annot' / f'drive_{i:06d}.png'), labels)


def write_backbone(folder: Path) -> None:
    """Write the card and the weights of an untrained network."""
    names = tuple(load_classes('camvid11').names)
    card = ModelCard(
        name='net',
        kind='backbone',
        builder='efficientnet_lite0_fpn',
        sha256='',
        parameters=0,
        input_size=SIZE,
        classes='camvid11',
        class_names=names,
    )
    save_card(card, backbone(), folder)


def ablation(path: Path, **own: dict[str, Any]) -> Path:
    """Write an ablation of one step each."""
    base = {
        'stage': 'pairs',
        'model': 'net',
        'propagations': ['guided_filter'],
        'epochs': 1,
        'batch': 2,
        'images_per_epoch': 2,
        'crop': [64, 96],
        'distances': [2, 3],
        'evaluate': {'camvid': 'val'},
    }
    path.write_text(yaml.safe_dump({'base': base, 'configurations': own}, sort_keys=False))
    return path


def test_every_recipe_is_trained_once_and_stands_in_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_data(tmp_path / 'camvid')
    write_backbone(tmp_path / 'models')
    whole, plain = {'split': 'train'}, {'split': 'train', 'motion': {'blur': 0, 'light': 0}}
    file = ablation(tmp_path / 'a.yaml', whole={'data': {'camvid': whole}})
    places = ['--data', f'camvid={tmp_path / "camvid"}', '--models', str(tmp_path / 'models')]
    arguments = [str(file), *places, '-o', str(tmp_path / 'out')]
    assert main(arguments) == 0
    weights = tmp_path / 'out' / 'whole' / 'net.guided_filter.safetensors'
    first = weights.stat().st_mtime_ns

    data: dict[str, dict[str, Any]] = {
        'whole': {'data': {'camvid': whole}},
        'no blur': {'data': {'camvid': plain}},
    }
    ablation(file, **data)
    assert main(arguments) == 0
    assert weights.stat().st_mtime_ns == first
    rows = json.loads((tmp_path / 'out' / 'table.json').read_text())
    assert [row['configuration'] for row in rows] == ['whole', 'no blur']
    assert rows[1]['recipe']['data'] == {'camvid': plain}
    assert list(rows[0]['pda']) == ['0', '1', '2', '3', '5', '7', '9']
    assert rows[0]['pda']['0'] == rows[1]['pda']['0']  # per frame nothing differs
    assert (tmp_path / 'out' / 'table.md').read_text() == table(rows)
    assert capsys.readouterr().out.endswith(table(rows))

    data['whole'] = {'data': {'camvid': whole}, 'seed': 1}
    ablation(file, **data)
    assert main(arguments) == 1
    assert 'expected the recipe this training began with' in capsys.readouterr().err


def test_the_table_is_markdown() -> None:
    row = {'configuration': 'a', 'part': 'b', 'pda': {'0': 0.72, '5': 0.7049}, 'minutes': 3.0}
    assert table([row]).splitlines() == [
        '| configuration | part | per frame | at 5 | minutes |',
        '| --- | --- | ---: | ---: | ---: |',
        '| a | b | 72.0 | 70.5 | 3.0 |',
    ]


def test_the_shipped_ablation_consists_of_sound_recipes_that_differ_in_data_or_seed(tmp_path: Path) -> None:
    recipes = read_ablation(resource('config', 'experiments') / 'ablation.yaml')
    assert len(recipes) >= 8
    for i, recipe in enumerate(recipes.values()):
        path = tmp_path / f'{i}.yaml'
        path.write_text(yaml.safe_dump(recipe))
        read = read_recipe(path)
        assert {key for key in recipe if recipe[key] != recipes['stills'].get(key)} <= {'data', 'seed'}
        assert 'val' not in str(read.data)


@pytest.mark.parametrize(
    'text', ['[1', 'base: {}', 'configurations: {a: 1}', 'base: 3\nconfigurations: {a: {}}']
)
def test_another_layout_is_an_error(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'x.yaml'
    path.write_text(text)
    with pytest.raises(VssError, match=r'x\.yaml'):
        read_ablation(path)
    assert main([str(path), '-o', str(tmp_path)]) == 1
    assert 'x.yaml' in capsys.readouterr().err
