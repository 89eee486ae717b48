"""Training that begins with the weights of a card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import yaml
from data_trees import write_png

from vss_ros.cli.main import main
from vss_ros.engine.backbones import BACKBONES
from vss_ros.engine.model_card import ModelCard, load_weights, read_card, save_card
from vss_ros.errors import VssError
from vss_ros.images.classes import load_classes
from vss_ros.training.recipe import Recipe, read_recipe
from vss_ros.training.teacher import start_card, start_with

if TYPE_CHECKING:
    from pathlib import Path

    from vss_ros.engine.backbones import Backbone

pytestmark = pytest.mark.usefixtures('one_thread')
CLASSES = load_classes('camvid11').names
SIZE = (64, 96)


def network(seed: int) -> Backbone:
    torch.manual_seed(seed)
    return BACKBONES.get('lernet')(len(CLASSES)).eval()


def written(folder: Path, trained: Backbone, **recipe: Any) -> ModelCard:
    card = ModelCard(
        name='net', kind='backbone', builder='lernet', sha256='', parameters=0,
        input_size=SIZE, classes='camvid11', class_names=CLASSES,
        recipe=recipe,
    )  # fmt: skip
    save_card(card, trained, folder)
    return read_card(folder / 'net.yaml')


def test_it_gets_all_and_what_was_taken_back_is_given_again(tmp_path: Path) -> None:
    trained, begun, image = network(0), network(1), torch.rand(1, 3, *SIZE)
    card = written(tmp_path, trained, logit_adjustment=0.5)
    load_weights(card, trained)  # as the file rounds them
    weights = torch.linspace(0.5, 3, len(CLASSES))
    start_with(begun, card, CLASSES, weights)
    with torch.no_grad():
        expected = trained(image) + 0.5 * weights.log().view(1, -1, 1, 1)
        torch.testing.assert_close(begun(image), expected)


def test_a_classifier_of_other_classes_stays(tmp_path: Path) -> None:
    trained, begun, untouched = network(0), network(1), network(1)
    card = written(tmp_path, trained, logit_adjustment=0.5)
    load_weights(card, trained)
    start_with(begun, card, tuple(reversed(CLASSES)), torch.ones(len(CLASSES)))
    sources = {True: untouched.state_dict(), False: trained.state_dict()}
    for name, tensor in begun.state_dict().items():
        assert torch.equal(tensor, sources[name.startswith('classify.')][name]), name


def test_other_numbers_of_classes_fit(tmp_path: Path) -> None:
    card = written(tmp_path, network(0))
    trained, begun = network(0), BACKBONES.get('lernet')(3)
    load_weights(card, trained)
    start_with(begun, card, ('a', 'b', 'c'), torch.ones(3))
    theirs = trained.state_dict()
    copied = {name for name, tensor in begun.state_dict().items() if torch.equal(tensor, theirs[name])}
    assert copied == {name for name in theirs if not name.startswith('classify.')}


def test_what_cannot_be_begun_with(tmp_path: Path) -> None:
    written(tmp_path, network(0))
    recipe = Recipe(stage='backbone', model='x', backbone='mobilenet_fpn', start='net')
    with pytest.raises(VssError, match='start net: expected the card of a backbone mobilenet_fpn, got one'):
        start_card(recipe, tmp_path)
    with pytest.raises(VssError, match="no model card 'nobody'"):
        start_card(recipe.model_copy(update={'start': 'nobody'}), tmp_path)
    assert start_card(recipe.model_copy(update={'start': ''}), tmp_path) is None
    # A shipped one is found where nothing of that name was written.
    shipped = Recipe(stage='backbone', model='x', backbone='lernet', start='lernet')
    assert start_card(shipped, tmp_path) == read_card('lernet')


def test_other_stages_begin_with_nothing(tmp_path: Path) -> None:
    stated = {'stage': 'motion', 'model': 'x', 'motions': ['light_flow'], 'start': 'lernet'}
    (tmp_path / 'r.yaml').write_text(yaml.safe_dump(stated))
    with pytest.raises(VssError, match='start: has no meaning in stage motion'):
        read_recipe(tmp_path / 'r.yaml')


def test_recipes_run_one_after_the_other(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(2):
        write_png(tmp_path / f'data/train/{number}.png', rng.integers(0, 256, (*SIZE, 3), np.uint8))
        labels = np.repeat(np.arange(2, dtype=np.uint8), SIZE[0] // 2)[:, None].repeat(SIZE[1], 1)
        write_png(tmp_path / f'data/trainannot/{number}.png', labels)
    recipe = {
        'stage': 'backbone', 'model': 'one', 'backbone': 'lernet', 'epochs': 1, 'batch': 2,
        'crop': list(SIZE), 'data': {'mine': {'split': 'train'}},
    }  # fmt: skip
    (tmp_path / 'one.yaml').write_text(yaml.safe_dump(recipe))
    # A rate of next to nothing: what is written is what was begun with.
    own = {'model': 'two', 'seed': 7, 'start': 'one', 'rate': 1e-7, 'weight_decay': 0.0, 'ema_decay': 0.0}
    (tmp_path / 'two.yaml').write_text(yaml.safe_dump(recipe | own))
    data = ['--data', f'mine={tmp_path / "data"}', '--data', f'others={tmp_path}']
    places = ['--runs', str(tmp_path / 'runs'), '-o', str(tmp_path / 'models'), '--threads', '1']
    paths = [str(tmp_path / name) for name in ('one.yaml', 'two.yaml')]
    assert main(['train', *paths, *data, *places]) == 0
    one, two = (read_card(tmp_path / f'models/{name}.yaml') for name in ('one', 'two'))
    assert two.recipe['start'] == {'name': 'one', 'sha256': one.sha256, 'recipe': one.recipe}
    assert two.recipe['command'] == 'vss train config/experiments/two.yaml --data mine=DIR'
    networks = network(0), network(0)
    for card, trained in zip((one, two), networks, strict=True):
        load_weights(card, trained)
    apart = [(a - b).abs().max() for a, b in zip(*(net.parameters() for net in networks), strict=True)]
    assert max(apart) < 1e-3


@pytest.mark.parametrize(
    ('own', 'said'),
    [
        ({'epochs': 0}, 'bad.yaml:4 epochs: expected'),
        ({'data': {'theirs': {}}}, 'expected --data NAME=DIR for theirs, got mine'),
    ],
)
def test_a_bad_last_recipe_is_told_first(
    own: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stated = {'stage': 'backbone', 'model': 'x', 'backbone': 'lernet', 'data': {'mine': {}}}
    (tmp_path / 'good.yaml').write_text(yaml.safe_dump(stated))
    (tmp_path / 'bad.yaml').write_text(yaml.safe_dump(stated | own))
    # Nothing is in there: whoever opened the first recipe's data would say so.
    places = ['--data', f'mine={tmp_path}', '--runs', str(tmp_path / 'runs'), '-o', str(tmp_path)]
    assert main(['train', str(tmp_path / 'good.yaml'), str(tmp_path / 'bad.yaml'), *places]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / 'runs').exists()
