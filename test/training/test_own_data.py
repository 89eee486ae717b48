"""Training on a bag of one's own with classes of one's own: one recipe, one table, no code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import yaml
from data_trees import SIZE, blocks_of, picture, write_png

from vss_ros.cli.main import main
from vss_ros.engine.model_card import read_card

if TYPE_CHECKING:
    from pathlib import Path

TABLE = """
name: farm
void_id: 200
classes:
  - {name: field, colour: [0, 128, 0]}
  - {name: cow, colour: [128, 64, 0]}
"""


def test_a_bag_and_a_class_table_are_enough(tmp_path: Path) -> None:
    for number in range(4):
        write_png(tmp_path / f'val/{number}.png', picture(number))
        write_png(tmp_path / f'valannot/{number}.png', blocks_of(np.array([0, 1, 200], np.uint8)))
    assert main(['bag', 'make', str(tmp_path / 'val'), '-o', str(tmp_path / 'bag'), '--format', 'png']) == 0
    (tmp_path / 'farm.yaml').write_text(TABLE)
    recipe = {
        'stage': 'backbone', 'model': 'cows', 'backbone': 'lernet', 'classes': 'farm', 'epochs': 1,
        'batch': 2, 'crop': list(SIZE), 'data': {'farm': {}}, 'evaluate': {'meadow': {'layout': 'recording'}},
    }  # fmt: skip
    (tmp_path / 'cows.yaml').write_text(yaml.safe_dump(recipe))
    data = ['--data', f'farm={tmp_path / "bag"}', '--data', f'meadow={tmp_path / "val"}']
    places = ['--runs', str(tmp_path / 'runs'), '-o', str(tmp_path / 'models'), '--threads', '1']
    before = torch.get_num_threads()
    assert main(['train', str(tmp_path / 'cows.yaml'), *data, *places]) == 0
    torch.set_num_threads(before)
    card = read_card(tmp_path / 'models/cows.yaml')
    assert (card.class_names, card.input_size) == (('field', 'cow'), SIZE)
    assert (tmp_path / 'models/cows.classes.yml').read_text() == TABLE
    assert card.classes == str(tmp_path / 'models/cows.classes.yml')
    assert 0 <= card.scores['meadow_miou'] <= 1
