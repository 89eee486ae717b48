"""A teacher that cannot teach is told before any data is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml

from vss_ros.engine.backbones import BACKBONES
from vss_ros.engine.model_card import ModelCard, save_card
from vss_ros.errors import VssError
from vss_ros.images.classes import load_classes
from vss_ros.training.cards import origins
from vss_ros.training.recipe import Recipe
from vss_ros.training.run import run_recipe
from vss_ros.training.teacher import teacher_card

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures('one_thread')


def refused(folder: Path, **own: Any) -> str:
    """Return what is said of a recipe whose data lies nowhere."""
    card = ModelCard(
        name='net', kind='backbone', builder='lernet', sha256='', parameters=0,
        input_size=(64, 96), classes='camvid11',
        class_names=tuple(load_classes('camvid11').names),
    )  # fmt: skip
    torch.manual_seed(0)
    save_card(card, BACKBONES.get('lernet')(11), folder)
    path = folder / 'pupil.yaml'
    stated = {'stage': 'backbone', 'model': 'x', 'backbone': 'mobilenet_fpn', 'data': {'mine': {}}} | own
    path.write_text(yaml.safe_dump(stated))
    with pytest.raises(VssError) as caught:
        run_recipe(path, {'mine': folder / 'nowhere'}, folder / 'runs', folder, resume=False)
    assert not (folder / 'runs').exists()
    return str(caught.value)


@pytest.mark.parametrize(
    ('own', 'said'),
    [
        ({'teacher': 'nobody'}, "no model card 'nobody'"),
        (
            {'teacher': 'light_flow'},
            'teacher light_flow: expected the card of a backbone, got one of a motion',
        ),
        (
            {'teacher': 'net.yaml', 'classes': 'cityscapes19'},
            'expected one for the classes cityscapes19 (19)',
        ),
        ({'teacher': 'net.yaml', 'hints': 1.0}, 'MobileNetFPN and its teacher LERNet have no encoder stage'),
    ],
)
def test_what_is_wrong_with_it(own: dict[str, Any], said: str, tmp_path: Path) -> None:
    named = own['teacher']
    teacher = str(tmp_path / named) if named.endswith('.yaml') else named
    assert said in refused(tmp_path, **own | {'teacher': teacher})


def test_without_one_there_is_none(tmp_path: Path) -> None:
    assert teacher_card(Recipe(stage='backbone', model='x'), load_classes('camvid11'), tmp_path) is None


def test_one_that_a_former_recipe_wrote_goes_first(tmp_path: Path) -> None:
    table = load_classes('camvid11')
    recipe = Recipe(stage='backbone', model='x', backbone='mobilenet_fpn', teacher='mobilenet_fpn')
    shipped = teacher_card(recipe, table, tmp_path)
    card = ModelCard(
        name='mobilenet_fpn', kind='backbone', builder='lernet', sha256='', parameters=0,
        input_size=(64, 96), classes='camvid11',
        class_names=tuple(table.names), recipe={'command': 'vss train mine.yaml', 'epochs': 3},
    )  # fmt: skip
    save_card(card, BACKBONES.get('lernet')(11), tmp_path)
    mine = teacher_card(recipe, table, tmp_path)
    assert shipped is not None
    assert mine is not None
    assert (shipped.builder, mine.builder) == ('mobilenet_fpn', 'lernet')
    told = {'name': 'mobilenet_fpn', 'sha256': mine.sha256, 'command': 'vss train mine.yaml'}
    assert origins(mine, None) == {'teacher': told}
