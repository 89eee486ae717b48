"""Cityscapes' stills and snippets on small trees laid out as cityscapesScripts documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from data_trees import SIZE, cityscapes_tree, write_png

from vss_ros.datasets.labelled import LabelledVideo
from vss_ros.datasets.layouts import load_data
from vss_ros.datasets.listing import DataOptions
from vss_ros.errors import VssError
from vss_ros.images.classes import load_classes

if TYPE_CHECKING:
    from pathlib import Path

STILLS = {
    'train': [('aachen', 0, 19), ('aachen', 1, 19), ('hamburg', 0, 629)],
    'val': [('frankfurt', 0, 294)],
}
TRAIN, SNIPPETS = DataOptions(split='train'), DataOptions(layout='cityscapes_sequence', split='train')
TABLE = load_classes('cityscapes19')


def test_stills(tmp_path: Path) -> None:
    data = load_data(cityscapes_tree(tmp_path, STILLS), TRAIN, TABLE)
    assert data.names == [
        'aachen_000000_000019_leftImg8bit',
        'aachen_000001_000019_leftImg8bit',
        'hamburg_000000_000629_leftImg8bit',
    ]
    # Label ids 0, 1, 3 are void, 7 road, 8 sidewalk, 11 building, 17 pole, 21 vegetation, …, 33 bicycle.
    assert data.labels[0][0, ::8].tolist() == [19, 19, 19, 0, 1, 2, 5, 8, 10, 11, 13, 18]
    assert data.images[0].shape == (*SIZE, 3)
    assert len(load_data(tmp_path, DataOptions(split='val'), TABLE)) == 1


def test_train_id_images(tmp_path: Path) -> None:
    data = load_data(cityscapes_tree(tmp_path, STILLS, suffix='labelTrainIds'), TRAIN, TABLE)
    assert data.labels[0][0, :32:8].tolist() == [0, 5, 18, 19]


def test_snippets_give_the_19_frames_before_the_labelled_one(tmp_path: Path) -> None:
    data = load_data(cityscapes_tree(tmp_path, STILLS, sequence=True), TRAIN, TABLE, moving=True)
    assert isinstance(data, LabelledVideo)
    assert (len(data), len(data.frames)) == (3, 60)
    assert (data.places, data.earlier) == ([19, 39, 59], [19, 19, 19])
    clips = list(data.clips())
    assert len(clips) == 3
    for clip, labels in zip(clips, data.labels, strict=True):
        assert clip.labelled == [19]
        assert np.array_equal(clip.labels[0], labels)
        for before in range(20):  # as written: each frame is the labelled one, moved by 2 pixels a frame
            assert np.array_equal(clip.images[19 - before], np.roll(clip.images[19], 2 * before, 1))


@pytest.mark.parametrize('held', [True, False])
def test_frames_are_scaled_and_labels_too_but_for_scores(
    held: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not held:
        monkeypatch.setattr('vss_ros.datasets.listing.MEMORY_SHARE', 0.0)
    cityscapes_tree(tmp_path, STILLS, sequence=True)
    options = DataOptions(layout='cityscapes_sequence', split='train', size=(32, 48), every=2)
    data = load_data(tmp_path, options, TABLE)
    assert isinstance(data, LabelledVideo)
    assert isinstance(data.images, list) is held
    assert data.names == ['aachen_000000_000019_leftImg8bit', 'hamburg_000000_000629_leftImg8bit']
    assert (data.places, data.images[1].shape, data.frames[0].shape) == ([19, 59], (32, 48, 3), (32, 48, 3))
    assert np.array_equal(data.images[1], data.frames[59])
    assert data.labels[0][0, ::4].tolist() == [19, 19, 19, 0, 1, 2, 5, 8, 10, 11, 13, 18]
    scored = load_data(tmp_path, options, TABLE, scale_labels=False)
    assert (scored.images[0].shape, scored.labels[0].shape) == ((32, 48, 3), SIZE)


def test_all_that_is_missing_is_one_error(tmp_path: Path) -> None:
    root = cityscapes_tree(tmp_path, STILLS)
    (root / 'leftImg8bit/train/aachen/aachen_000001_000019_leftImg8bit.png').unlink()
    (root / 'gtFine/train/hamburg/hamburg_000000_000629_gtFine_labelIds.png').unlink()
    with pytest.raises(VssError) as caught:
        load_data(root, TRAIN, TABLE)
    text = str(caught.value)
    assert '2 faults: leftImg8bit/train/aachen/aachen_000001_000019_leftImg8bit.png is missing' in text
    assert 'gtFine/train/hamburg/hamburg_000000_000629_gtFine_labelIds.png is missing' in text


def test_a_frame_of_a_snippet_is_missing(tmp_path: Path) -> None:
    root = cityscapes_tree(tmp_path, STILLS, sequence=True)
    (root / 'leftImg8bit_sequence/train/hamburg/hamburg_000000_000610_leftImg8bit.png').unlink()
    with pytest.raises(
        VssError, match='1 faults: leftImg8bit_sequence/train/hamburg/hamburg_000000_000610_left'
    ):
        load_data(root, SNIPPETS, TABLE)
    (root / 'leftImg8bit_sequence/val/frankfurt/frankfurt_000000_000304_leftImg8bit.png').unlink()
    assert len(load_data(root, DataOptions(split='val'), TABLE)) == 1  # after the labelled frame: not needed


def test_sizes_that_differ_are_one_error(tmp_path: Path) -> None:
    root = cityscapes_tree(tmp_path, STILLS)
    for name in ('000000', '000001'):
        write_png(
            root / f'gtFine/train/aachen/aachen_{name}_000019_gtFine_labelIds.png', np.zeros((8, 9), 'u1')
        )
    with pytest.raises(
        VssError, match=r'2 faults: gtFine/train/aachen/aachen_000000.* is 8x9, its image 64x96'
    ):
        load_data(root, TRAIN, TABLE)


def test_ids_that_do_not_exist_name_the_pixel(tmp_path: Path) -> None:
    root = cityscapes_tree(tmp_path, STILLS)
    wrong = np.zeros(SIZE, np.uint8)
    wrong[5, 9] = 34
    write_png(root / 'gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png', wrong)
    with pytest.raises(
        VssError, match=r'aachen_000000.*pixel \(x=9, y=5\) has value 34, expected ids of cityscapes34'
    ):
        load_data(root, TRAIN, TABLE)


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (
            DataOptions(layout='cityscapes', split='test'),
            r"labelled split of Cityscapes \(train, val\), got 'test'",
        ),
        (
            DataOptions(layout='cityscapes', split='val'),
            r'expected gtFine/val/CITY/\*_gtFine_labelIds.png .*got none in',
        ),
        (
            DataOptions(layout='cityscapes_sequence', split='train'),
            'folder leftImg8bit_sequence/train/aachen is missing',
        ),
        (DataOptions(layout='camvid', split='train'), 'folder 701_StillsRaw_full is missing'),
        (
            DataOptions(layout='fully', split='train'),
            "layout is 'fully', expected one of: folders, drives, lists",
        ),
    ],
)
def test_wrong_folders(options: DataOptions, said: str, tmp_path: Path) -> None:
    root = cityscapes_tree(tmp_path, {'train': STILLS['train']})
    with pytest.raises(VssError, match=said):
        load_data(root, options, TABLE)


def test_names_that_are_not_cityscapes(tmp_path: Path) -> None:
    root = cityscapes_tree(tmp_path, STILLS)
    write_png(root / 'gtFine/train/aachen/zurich_000000_000019_gtFine_labelIds.png', np.zeros(SIZE, np.uint8))
    with pytest.raises(VssError, match=r'CITY/CITY_SEQUENCE_FRAME.*; rename'):
        load_data(root, TRAIN, TABLE)


def test_other_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        VssError, match=r'expected classes cityscapes34, or a table merged_from it.*got camvid11'
    ):
        load_data(cityscapes_tree(tmp_path, STILLS), TRAIN, load_classes('camvid11'))
