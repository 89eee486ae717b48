"""Class maps merge, renumber and name anew what is published."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from vss_ros.errors import VssError
from vss_ros.images.class_map import load_class_map
from vss_ros.images.classes import load_classes

if TYPE_CHECKING:
    from pathlib import Path

CAMVID = load_classes('camvid11')
ALL = np.arange(12, dtype=np.uint8).reshape(3, 4)


def test_classes_are_merged_in_order_and_the_rest_is_other() -> None:
    found = load_class_map('{drivable: [road, pavement], person: [pedestrian]}', CAMVID)
    assert found.table.names == ('drivable', 'person', 'other')
    assert found.labels(ALL).tolist() == [[2, 2, 2, 0], [0, 2, 2, 2], [2, 1, 2, 11]]
    assert found.table.colours[:2].tolist() == CAMVID.colours[[3, 9]].tolist()
    assert found.parts('drivable').tolist() == [3, 4]
    assert found.parts('road').tolist() == []


def test_a_file_chooses_colours_and_where_the_rest_goes(tmp_path: Path) -> None:
    file = tmp_path / 'map.yaml'
    file.write_text('nothing: ["*"]\nfree: {of: [road], colour: [1, 2, 3]}\nnever: []\n')
    found = load_class_map(str(file), CAMVID)
    assert found.table.names == ('nothing', 'free', 'never')
    assert found.table.colours[1].tolist() == [1, 2, 3]
    assert found.labels(ALL)[0].tolist() == [0, 0, 0, 1]


def test_without_a_map_labels_are_not_even_copied() -> None:
    found = load_class_map('', CAMVID)
    assert found.table is CAMVID
    assert found.labels(ALL) is ALL
    assert found.parts('pavement').tolist() == [4]


@pytest.mark.parametrize('table', ['camvid11', 'cityscapes19', 'uavid8'])
def test_autowares_labels_have_their_numbers_for_every_shipped_table(table: str) -> None:
    known = load_classes(table)
    found = load_class_map('autoware', known)
    assert len(found.table) == 16
    for name, label in (('building', 1), ('road', 9), ('sky', 15), ('tree', 14), ('car', 7), ('person', 6)):
        if name in known.names:
            assert found.labels(np.array([[known.names.index(name)]], np.uint8))[0, 0] == label
    unknown = {name for name in known.names if known.names.index(name) in found.parts('UNKNOWN')}
    assert unknown == ({'clutter'} if table == 'uavid8' else set())


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('{free: [raod]}', 'expected classes of camvid11 .*, got raod'),
        ('{free: [road], way: [road]}', 'got road twice'),
        ('{free: road}', "'road' is no list"),
        ('[road]', 'expected a .yaml file, autoware'),
        ('no_such', 'expected a .yaml file, autoware'),
        ('gone.yaml', 'expected a readable class map file'),
        ('{free: {of: [road], colour: [300, 0, 0]}}', 'no .R, G, B.'),
        ('{free: {off: [road]}}', "'of'"),
    ],
)
def test_what_is_no_class_map_is_refused_with_a_reason(text: str, said: str) -> None:
    with pytest.raises(VssError, match=said):
        load_class_map(text, CAMVID)
