"""A team with Cityscapes on disk trains on it by two commands; here on a small tree, for a step or two."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml
from data_trees import cityscapes_tree
from training_parts import run_twice

from vss_ros.cli.main import main
from vss_ros.engine.model_card import read_card
from vss_ros.images.classes import load_classes
from vss_ros.resources import resource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRAIN = [('aachen', 0, 19), ('bochum', 0, 885), ('bochum', 0, 1203), ('zurich', 121, 19)]
VAL = [('frankfurt', 0, 294)]
SHORT = {
    'model': 'tiny', 'backbone': 'lernet', 'epochs': 1, 'batch': 2, 'images_per_epoch': 2, 'crop': [64, 96],
    'evaluate_every': 1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def as_many_threads_as_before() -> Iterator[None]:
    """Undo ``--threads``, which holds for the process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope='module')
def cityscapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tree with both packages of images, twice the size trained at."""
    root = tmp_path_factory.mktemp('cityscapes')
    for sequence in (False, True):
        cityscapes_tree(root, {'train': TRAIN, 'val': VAL}, sequence=sequence, size=(128, 192))
    return root


def shortened(name: str, folder: Path) -> Path:
    """Write a shipped recipe again, with a small network, small images and few steps."""
    recipe: dict[str, Any] = yaml.safe_load(resource('config', 'experiments', f'{name}.yaml').read_text())
    recipe |= SHORT
    recipe['data']['cityscapes']['size'] = [64, 96]
    path = folder / f'{name}.yaml'
    path.write_text(yaml.safe_dump(recipe))
    return path


def train(recipe: Path, data: Path, folder: Path) -> dict[str, dict[str, Any]]:
    """Run ``vss train`` and return the scores of the cards it wrote."""
    places = ['--runs', str(folder / 'runs'), '-o', str(folder / 'models')]
    report = folder / 'scores.json'
    options = ['--data', f'cityscapes={data}', *places, '--json', str(report), '--threads', '1']
    assert main(['train', str(recipe), *options]) == 0
    scores: dict[str, dict[str, Any]] = json.loads(report.read_text())
    return scores


def test_the_shipped_recipes_train(cityscapes: Path, tmp_path: Path) -> None:
    table = load_classes('cityscapes19')
    scores = train(shortened('efficientnet_lite0_fpn_cityscapes', tmp_path), cityscapes, tmp_path)
    assert set(scores['tiny']) == {'cityscapes_val_miou', 'per_class_iou', 'full_precision'}
    assert set(scores['tiny']['per_class_iou']) == set(table.names)
    card = read_card(tmp_path / 'models' / 'tiny.yaml')
    assert (card.classes, card.class_names, card.input_size) == ('cityscapes19', table.names, (64, 96))
    assert card.recipe['images'] == {'cityscapes': 4}

    scores = train(shortened('efficientnet_lite0_fpn_cityscapes.pairs', tmp_path), cityscapes, tmp_path)
    curve = scores['tiny.spatially_variant_conv']['cityscapes_val_pda']
    assert list(curve) == ['0', '1', '2', '3', '5', '7', '9']
    assert all(0 <= value <= 1 for value in curve.values())
    assert 'cityscapes_val_rank_correlation' in scores['tiny.predicted_deviation']

    scores = train(
        shortened('efficientnet_lite0_fpn_cityscapes.warp_and_repair', tmp_path), cityscapes, tmp_path
    )
    assert list(scores['tiny.warp_and_repair']['cityscapes_val_pda']) == ['0', '1', '2', '3', '5', '7', '9']


@pytest.mark.slow
def test_torchrun_trains_in_two_processes(cityscapes: Path, tmp_path: Path) -> None:
    recipe = shortened('efficientnet_lite0_fpn_cityscapes', tmp_path)
    words = ['train', str(recipe), '--data', f'cityscapes={cityscapes}', '--threads', '1', '--json', '-']
    words += ['--runs', str(tmp_path / 'runs'), '-o', str(tmp_path / 'models')]

    said = run_twice('-m', 'vss_ros.cli.main', *words)

    assert list(json.loads(said)) == ['tiny']  # by one of them
    assert read_card(tmp_path / 'models' / 'tiny.yaml').recipe['processes'] == 2
    path = yaml.safe_load(recipe.read_text())
    recipe.write_text(yaml.safe_dump(path | {'batch': 3}))
    with pytest.raises(AssertionError, match='expected a batch that 2 processes share evenly, got 3'):
        run_twice('-m', 'vss_ros.cli.main', *words)


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'classes': 'camvid11'}, 'expected classes cityscapes34, or a table merged_from it'),
        ({'data': {'cityscapes': {'split': 'train'}}}, 'several layouts fit; state layout in the recipe'),
        ({'data': {'camvid': {'split': 'train'}}}, 'expected --data NAME=DIR for camvid, got cityscapes'),
        (
            {'evaluate': {'cityscapes': {'layout': 'cityscapes', 'split': 'val'}}},
            'evaluate cityscapes: expected labelled frames with those before them, got 1 stills',
        ),
    ],
)
def test_a_mismatch_is_one_error(
    changes: dict[str, Any], said: str, cityscapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shortened('efficientnet_lite0_fpn_cityscapes.pairs', tmp_path)
    recipe = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**recipe, 'evaluate': {}, **changes}))
    assert (
        main(['train', str(path), '--data', f'cityscapes={cityscapes}', '--runs', str(tmp_path / 'r')]) == 2
    )
    assert said in capsys.readouterr().err


def test_a_backbone_of_other_classes_is_refused(
    cityscapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shortened('efficientnet_lite0_fpn_cityscapes.pairs', tmp_path)
    recipe = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**recipe, 'model': 'efficientnet_lite0_fpn'}))
    places = ['--runs', str(tmp_path / 'r'), '-o', str(resource('models'))]
    assert main(['train', str(path), '--data', f'cityscapes={cityscapes}', *places]) == 2
    assert 'expected a backbone trained for cityscapes19 (19 classes), got card' in capsys.readouterr().err
