"""Recipes are checked before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from vss_ros.datasets.listing import DataOptions
from vss_ros.engine.model_card import shipped_cards
from vss_ros.errors import VssError
from vss_ros.resources import resource
from vss_ros.training.recipe import Recipe, TrainedOn, read_recipe

SOUND: dict[str, dict[str, Any]] = {
    'backbone': {
        'stage': 'backbone',
        'model': 'x',
        'backbone': 'lernet',
        'data': {'camvid': {'split': 'train'}},
    },
    'pairs': {
        'stage': 'pairs',
        'model': 'x',
        'propagations': ['tamed_warping'],
        'images_per_epoch': 8,
        'data': {'camvid': None, 'drives': {'share': 0.25}},
    },
    'motion': {
        'stage': 'motion',
        'model': 'x',
        'motions': ['light_flow'],
        'images_per_epoch': 8,
        'data': {'camvid': {'split': 'train'}},
        'evaluate': {'camvid': 'val'},
    },
}


def written(folder: Path, sound: str, **changes: Any) -> Path:
    """Write a sound recipe with changes."""
    path = folder / 'recipe.yaml'
    path.write_text(yaml.safe_dump(SOUND[sound] | changes))
    return path


def shipped() -> list[Path]:
    """Return the shipped recipes; beside them lie sweeps, which list configurations."""
    files = sorted(resource('config', 'experiments').glob('*.yaml'))
    return [path for path in files if 'configurations' not in yaml.safe_load(path.read_text())]


@pytest.mark.parametrize('path', shipped(), ids=lambda p: p.name)
def test_shipped_recipes_read(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.model
    assert recipe.data
    assert 'val' not in str(recipe.data)  # the video that scores are measured on is never trained on


@pytest.mark.parametrize('stage', SOUND)
def test_sound_recipes_read(stage: str, tmp_path: Path) -> None:
    assert read_recipe(written(tmp_path, stage)).stage == stage


def test_nonsense_is_refused_all_at_once(tmp_path: Path) -> None:
    path = tmp_path / 'bad.yaml'
    path.write_text('stage: backbone\nbackbone: x\nepochs: 0\nrate: -1\ncrop: [3]\nlearning: 1\n')
    with pytest.raises(VssError) as caught:
        read_recipe(path)
    for part in (
        'bad.yaml:6 learning: expected one of', 'bad.yaml:1 model: expected a value, got none',
        'bad.yaml:3 epochs: ', 'bad.yaml:4 rate: ', 'bad.yaml:5 crop[0]: ',
        'data: expected data sets to train on, got none', "bad.yaml:2 backbone: no backbone is called 'x'",
    ):  # fmt: skip
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ('stage', 'changes', 'said'),
    [
        ('backbone', {'epochs': 2.5}, 'epochs: expected a whole number, got 2.5'),
        ('backbone', {'epochs': True}, 'epochs: expected a whole number, got True'),
        ('backbone', {'rate': float('nan')}, 'rate: expected a finite number, got nan'),
        ('backbone', {'rate': '2e-3'}, "rate: expected a number, got '2e-3'"),
        ('backbone', {'seed': -1}, 'seed: expected greater than or equal to 0, got -1'),
        ('backbone', {'model': 3}, 'model: expected text, got 3'),
        ('backbone', {'model': '../../x'}, 'model: expected a file name without a folder'),
        ('backbone', {'crop': [320, 450]}, r'crop\[1\]: expected a multiple of 32, got 450'),
        ('backbone', {'crop': [320, 8192]}, 'expected less than or equal to 4096, got 8192'),
        ('backbone', {'crop': [0, 32]}, 'expected greater than or equal to 32, got 0'),
        ('backbone', {'stage': 'all'}, "stage: expected 'backbone', 'pairs' or 'motion', got 'all'"),
        ('backbone', {'backbone': ''}, 'backbone: expected a network to train, got none'),
        ('backbone', {'backbone': 'resnet'}, "'resnet'.*lernet"),
        ('backbone', {'classes': 'ade20k'}, 'classes: expected a class table'),
        ('backbone', {'distances': [2, 3]}, 'distances: has no meaning in stage backbone'),
        ('backbone', {'propagations': ['reuse']}, 'propagations: has no meaning in stage backbone'),
        ('backbone', {'images_per_epoch': 4}, 'images_per_epoch: expected at least a batch of 8, got 4'),
        ('pairs', {'images_per_epoch': 0}, 'images_per_epoch: expected at least a batch of 8, got 0'),
        ('pairs', {'distances': [9, 2]}, r'distances: expected least and most, got \[9, 2\]'),
        ('pairs', {'distances': [2, 31]}, r'distances\[1\]: expected less than or equal to 30, got 31'),
        ('pairs', {'propagations': []}, 'propagations: expected propagations or a scheduler, got none'),
        ('pairs', {'propagations': ['teleport']}, "'teleport'.*tamed_warping"),
        ('pairs', {'propagations': ['reuse', 'reuse']}, 'expected a list of names, each once'),
        ('pairs', {'scheduler': 'fixed_interval'}, 'scheduler: expected one of: predicted_deviation, got'),
        ('pairs', {'remembered': 100}, 'remembered: expected propagations of logits along motion'),
        (
            'pairs',
            {'remembered': 4, 'propagations': ['flow_warp']},
            'remembered: expected at least a batch of 8, got 4',
        ),
        ('pairs', {'teacher': 'x'}, 'teacher: has no meaning in stage pairs'),
        ('pairs', {'hints': 1.0}, 'hints: has no meaning in stage pairs'),
        ('backbone', {'hints': -1.0, 'teacher': 'x'}, 'hints: expected greater than or equal to 0, got -1.0'),
        ('backbone', {'hints': 1.0}, 'hints need a teacher: expected a card as teacher, got none'),
        (
            'backbone',
            {'hints': 1.0, 'teacher': 'x', 'backbone': 'lernet'},
            'lernet: it names no encoder_stages',
        ),
        ('backbone', {'logit_adjustment': 2}, 'logit_adjustment: expected less than or equal to 1, got 2'),
        (
            'backbone',
            {'scales': [2.0, 0.5]},
            r'scales: expected least and most, got \[2.0, 0.5\]',
        ),
        ('backbone', {'scales': [0.5]}, r'scales\[1\]: expected a value, got none'),
        ('backbone', {'mixed': 1.5}, 'mixed: expected less than or equal to 1, got 1.5'),
        ('backbone', {'light': -1}, 'light: expected greater than or equal to 0, got -1'),
        ('pairs', {'light': 2.0}, 'light: has no meaning in stage pairs'),
        ('pairs', {'light': 0.0}, 'light: has no meaning in stage pairs'),
        ('backbone', {'mixed': 0.5, 'batch': 1}, 'batch: expected at least 2 views .*, got 1'),
        ('backbone', {'backbone': 'external'}, 'trained where they come from; see: vss models add'),
        ('pairs', {'interior': 4}, 'interior: expected less than or equal to 3, got 4'),
        ('pairs', {'motion': 'guess'}, "'guess'.*dis"),
        ('motion', {'motions': []}, 'motions: expected motion estimators, got none'),
        ('motion', {'evaluate': {'camvid': 'val', 'b': 'val'}}, 'expected one data set at most'),
        ('motion', {'evaluate': {'camvid': 'train'}}, 'another split than the one that is trained on'),
        ('motion', {'data': {'camvid': {'motion': {'fog': 1}}}}, r'motion\.fog: expected one of .*lens'),
        ('motion', {'evaluate': {'camvid': {'share': 1}}}, 'evaluate.camvid.share: expected one of every, '),
        ('motion', {'evaluate': ['camvid']}, 'evaluate: expected a mapping'),
    ],
)
def test_a_value_that_makes_no_sense(stage: str, changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(VssError, match=said):
        read_recipe(written(tmp_path, stage, **changes))


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        ({'spilt': 'train'}, 'data.a.spilt: expected one of .* did you mean split'),
        ({'layout': 'mine'}, "data.a.layout: expected one of: folders, .*, got 'mine'"),
        ({'size': [512]}, r'data.a.size\[1\]: expected a value, got none'),
        ({'size': [256, 512]}, r'crop: expected at most the size \[256, 512\] of data a'),
        ({'every': 0}, 'data.a.every: expected greater than or equal to 1, got 0'),
        ({'split': 1}, 'data.a.split: expected text, got 1'),
        ({'share': 0.5}, 'data.a.share: has no meaning'),
        ({'confidence': 2}, 'data.a.confidence: expected less than or equal to 1, got 2'),
    ],
)
def test_options_of_a_data_set_that_make_no_sense(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = written(tmp_path, 'pairs', data={'a': options}, crop=[320, 448])
    with pytest.raises(VssError, match=said):
        read_recipe(path)


@pytest.mark.parametrize(
    ('shares', 'said'),
    [
        ([0.5, 0.5], 'a sum below 1'),
        ([-0.1, 0.2], 'expected shares above 0'),
        ([None, 0.2], 'data.b0.share: expected a number, got None'),
        (['much', 0.2], "data.b0.share: expected a number, got 'much'"),
    ],
)
def test_shares(shares: list[Any], said: str, tmp_path: Path) -> None:
    data = {'a': {}, **{f'b{i}': {'share': share} for i, share in enumerate(shares)}}
    with pytest.raises(VssError, match=said):
        read_recipe(written(tmp_path, 'backbone', data=data))


def test_an_epoch_that_never_comes(tmp_path: Path) -> None:
    data = {'a': {}, 'b': {'share': 0.1, 'from_epoch': 5}}
    with pytest.raises(VssError, match=r'data\.b\.from_epoch: expected an epoch of the training, got 5'):
        read_recipe(written(tmp_path, 'backbone', data=data, epochs=5))


def test_what_is_scored_on_is_read_as_what_is_trained_on(tmp_path: Path) -> None:
    data = {'a': {'split': 'train', 'layout': 'uavid', 'size': [640, 960], 'every': 2}}
    recipe = read_recipe(written(tmp_path, 'backbone', data=data, evaluate={'a': 'val'}))
    assert recipe.data['a'] == TrainedOn(layout='uavid', split='train', size=(640, 960), every=2)
    assert recipe.watches() == ('a', DataOptions(layout='uavid', split='val', size=(640, 960)))
    assert read_recipe(written(tmp_path, 'backbone')).watches() is None


@pytest.mark.parametrize('text', ['[]', 'stage: [', 'x', ''])
def test_what_is_no_recipe(text: str, tmp_path: Path) -> None:
    path = tmp_path / 'recipe.yaml'
    path.write_text(text)
    with pytest.raises(VssError, match=r'recipe.yaml:1 expected a mapping|expected a readable recipe file'):
        read_recipe(path)


def test_shipped_cards_name_the_commands_of_training_and_score() -> None:
    scored = [card for card in shipped_cards() if card.scores]
    assert scored
    for card in scored:
        assert card.recipe['command'].startswith('vss train config/experiments/'), card.name
        assert card.recipe['score_command'].startswith(f'vss models verify {card.name} --data '), card.name


def test_every_key_is_described() -> None:
    page = (Path(__file__).parents[2] / 'docs/recipes.md').read_text()
    assert [name for name in Recipe.model_fields if f'`{name}`' not in page] == []


def test_a_key_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / 'recipe.yaml'
    path.write_text('stage: pairs\n1: 2\n')
    with pytest.raises(VssError, match=r'recipe.yaml:2 1: expected text'):
        read_recipe(path)
