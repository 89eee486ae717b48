from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from vss_ros.errors import VssError
from vss_ros.images.classes import load_classes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ('name', 'count', 'void', 'checks'),
    [
        ('camvid11', 11, 11, {0: ('sky', (128, 128, 128)), 10: ('bicyclist', (0, 128, 192))}),
        ('camvid32', 31, 255, {0: ('Animal', (64, 128, 64)), 30: ('Wall', (64, 192, 0))}),
        ('cityscapes34', 34, 255, {7: ('road', (128, 64, 128)), 33: ('bicycle', (119, 11, 32))}),
        ('cityscapes19', 19, 255, {0: ('road', (128, 64, 128)), 18: ('bicycle', (119, 11, 32))}),
        ('uavid8', 8, 255, {3: ('static car', (192, 0, 192)), 7: ('moving car', (64, 0, 128))}),
    ],
)
def test_shipped_tables(
    name: str, count: int, void: int, checks: dict[int, tuple[str, tuple[int, ...]]]
) -> None:
    table = load_classes(name)
    assert (table.name, len(table), table.void_id) == (name, count, void)
    assert table.colours.shape == (count, 3)
    for index, (label, colour) in checks.items():
        assert table.names[index] == label
        assert tuple(table.colours[index]) == colour


def test_colourise_draws_classes_and_leaves_void_black() -> None:
    table = load_classes('camvid11')
    labels = np.array([[0, 10], [11, 200]], np.uint8)
    drawn = table.colourise(labels)
    assert drawn.shape == (2, 2, 3)
    assert drawn[0].tolist() == [[128, 128, 128], [0, 128, 192]]
    assert not drawn[1].any()


def test_tables_are_immutable() -> None:
    with pytest.raises(ValueError, match='read-only'):
        load_classes('camvid11').colours[0] = 0


def test_unknown_table_lists_the_known() -> None:
    with pytest.raises(VssError, match='camvid11, camvid32, cityscapes19, cityscapes34, uavid8'):
        load_classes('ade20k')


@pytest.mark.parametrize(
    'text',
    [
        '[]',
        'name: x',
        'name: x\nvoid_id: 0\nclasses: [{name: a, colour: [0, 0, 0]}]',
        'name: x\nvoid_id: 9\nclasses: [{name: a, colour: [0, 0, 300]}]',
        'name: x\nvoid_id: 9\nclasses: [{name: a, colour: [0, 0]}]',
        'name: x\nvoid_id: 9\nclasses: [{name: a, colour: [0, 0, 1]}, {name: a, colour: [0, 0, 2]}]',
        'name: [',
    ],
)
def test_malformed_table_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / 'table.yaml'
    file.write_text(text)
    with pytest.raises(VssError, match='expected'):
        load_classes(file)


def test_blend_scales_labels_to_the_image() -> None:
    table = load_classes('camvid11')
    image = np.full((40, 60, 3), 100, np.uint8)
    labels = np.array([[0, 3]], np.uint8)
    drawn = table.blend(image, labels)
    assert drawn.shape == image.shape
    assert drawn[0, 0].tolist() == [114, 114, 114]
    assert drawn[0, 59].tolist() == [114, 82, 114]
