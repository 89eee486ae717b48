"""Recipes are checked before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vss_ros.errors import VssError
from vss_ros.resources import resource
from vss_ros.training.recipe import read_recipe

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    'path', sorted(resource('config', 'experiments').glob('*.yaml')), ids=lambda p: p.name
)
def test_shipped_recipes_read(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.model
    assert recipe.data
    assert 'val' not in str(recipe.data)  # the video that scores are measured on is never trained on


def test_nonsense_is_refused_all_at_once(tmp_path: Path) -> None:
    path = tmp_path / 'bad.yaml'
    path.write_text('stage: backbone\nbackbone: x\nepochs: 0\nrate: -1\ncrop: [3]\nlearning: 1\n')
    with pytest.raises(VssError) as caught:
        read_recipe(path)
    for part in ("unknown key 'learning'", "missing key 'model'", 'epochs is 0', 'rate is -1', 'crop is [3]'):
        assert part in str(caught.value)
