"""UAVid on small trees: uavid_SPLIT/seqN/Images and Labels, every 100th frame labelled in colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from data_trees import blocks_of, picture, write_png

from vss_ros.datasets.labelled import LabelledVideo
from vss_ros.datasets.layouts import load_data
from vss_ros.datasets.listing import DataOptions
from vss_ros.errors import VssError
from vss_ros.images.classes import load_classes

if TYPE_CHECKING:
    from pathlib import Path

TABLE = load_classes('uavid8')
PALETTE = np.array(
    [
        (0, 0, 0), (128, 0, 0), (128, 64, 128), (192, 0, 192),
        (0, 128, 0), (128, 128, 0), (64, 64, 0), (64, 0, 128),
    ],
    np.uint8,
)  # fmt: skip
"""Clutter, building, road, static car, tree, low vegetation, human, moving car."""
TRAIN = DataOptions(split='train')


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for split, sequences in (('train', (1, 2, 10)), ('val', (16,))):
        for sequence in sequences:
            for frame in range(0, 1000, 100):
                folder = tmp_path / f'uavid_{split}' / f'seq{sequence}'
                write_png(folder / 'Images' / f'{frame:06d}.png', picture(sequence + frame, (16, 24)))
                write_png(
                    folder / 'Labels' / f'{frame:06d}.png', blocks_of(np.roll(PALETTE, sequence, 0), (16, 24))
                )
    return tmp_path


def test_labels_are_colours(tree: Path) -> None:
    data = load_data(tree, TRAIN, TABLE, moving=True)
    assert len(data) == 30
    assert not isinstance(data, LabelledVideo)  # 100 frames apart
    assert [labels[0, 0] for labels in data.labels[::10]] == [7, 6, 6]  # seq1, seq2, seq10
    assert data.labels[0][::8, ::8].ravel().tolist() == [7, 0, 1, 2, 3, 4]
    assert len(load_data(tree, DataOptions(layout='uavid', split='val'), TABLE)) == 10


def test_frames_between_come_along_where_they_are_there(tree: Path) -> None:
    for frame in (297, 298, 299, 301):
        write_png(tree / f'uavid_train/seq2/Images/{frame:06d}.png', picture(frame, (16, 24)))
    data = load_data(tree, TRAIN, TABLE, moving=True)
    assert isinstance(data, LabelledVideo)
    assert data.earlier == [0] * 13 + [3] + [0] * 16
    assert np.array_equal(data.frames[data.places[13] - 3], picture(297, (16, 24)))


def test_all_that_is_missing_is_one_error(tree: Path) -> None:
    (tree / 'uavid_train/seq2/Labels/000300.png').unlink()
    (tree / 'uavid_train/seq10/Images/000900.png').unlink()
    for path in (tree / 'uavid_train/seq1/Labels').iterdir():
        path.unlink()
    (tree / 'uavid_train/seq1/Labels').rmdir()
    with pytest.raises(VssError) as caught:
        load_data(tree, TRAIN, TABLE)
    text = str(caught.value)
    assert '3 faults: folder uavid_train/seq1/Labels is missing' in text
    assert 'uavid_train/seq2/Labels/000300.png is missing' in text
    assert 'uavid_train/seq10/Images/000900.png is missing' in text


@pytest.mark.parametrize(
    ('split', 'said'), [('test', r'\(train, val\)'), ('val', 'expected uavid_val/seqN/Images')]
)
def test_wrong_splits(split: str, said: str, tree: Path) -> None:
    (tree / 'uavid_val').rename(tree / 'elsewhere')
    with pytest.raises(VssError, match=said):
        load_data(tree, DataOptions(layout='uavid', split=split), TABLE)


def test_names_that_are_no_frame_numbers(tree: Path) -> None:
    write_png(tree / 'uavid_train/seq1/Images/first.png', picture(0, (16, 24)))
    with pytest.raises(VssError, match=r'uavid_train/seq1/Images/first.png is no frame number'):
        load_data(tree, TRAIN, TABLE)


def test_a_colour_that_is_no_class(tree: Path) -> None:
    mask = blocks_of(PALETTE, (16, 24))
    mask[15, 23] = (64, 64, 64)
    write_png(tree / 'uavid_train/seq2/Labels/000500.png', mask)
    with pytest.raises(
        VssError, match=r'seq2/Labels/000500.png: pixel \(x=23, y=15\) has colour \(64, 64, 64\)'
    ):
        load_data(tree, TRAIN, TABLE)
