"""Layouts are found out where there is one way, and asked for where there are several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from data_trees import SIZE, blocks_of, cityscapes_tree, picture, write_png

from vss_ros.cli.main import main
from vss_ros.datasets.labelled import LabelledVideo
from vss_ros.datasets.layouts import find_layout, load_data
from vss_ros.datasets.listing import DataOptions
from vss_ros.errors import VssError
from vss_ros.images.classes import load_classes

if TYPE_CHECKING:
    from pathlib import Path

TABLE = load_classes('camvid11')
IDS = np.arange(12, dtype=np.uint8)


def two_drives(root: Path) -> Path:
    """Write images/ + labels/ of two drives of three and two frames."""
    for name in ('100_0000', '100_0001', '100_0002', '101_0000', '101_0001'):
        write_png(root / 'images' / f'{name}.png', picture(int(name[-1])))
        write_png(root / 'labels' / f'{name}.png', blocks_of(np.roll(IDS, int(name[-1]))))
    return root


def test_drives_are_grouped_by_name(tmp_path: Path) -> None:
    data = load_data(two_drives(tmp_path), DataOptions(layout='drives'), TABLE)
    assert isinstance(data, LabelledVideo)
    assert (data.places, data.earlier) == ([0, 1, 2, 3, 4], [0, 1, 2, 0, 1])
    assert [len(clip.images) for clip in data.clips()] == [3, 2]
    assert [clip.labelled for clip in data.clips()] == [[0, 1, 2], [0, 1]]


def test_whether_frames_are_consecutive_has_to_be_said_where_it_matters(tmp_path: Path) -> None:
    two_drives(tmp_path)
    assert find_layout(tmp_path, '', moving=False) == 'folders'
    with pytest.raises(
        VssError, match=r'several layouts fit; state layout in the recipe: folders: .*; drives: '
    ):
        find_layout(tmp_path, '', moving=True)


def test_stills_or_snippets_have_to_be_named_where_it_matters(tmp_path: Path) -> None:
    cityscapes_tree(tmp_path, {'train': [('bonn', 3, 19)]})
    assert find_layout(tmp_path, 'train', moving=True) == 'cityscapes'
    cityscapes_tree(tmp_path, {'train': [('bonn', 3, 19)]}, sequence=True)
    assert find_layout(tmp_path, 'train', moving=False) == 'cityscapes'
    with pytest.raises(VssError, match='several layouts fit'):
        find_layout(tmp_path, 'train', moving=True)


def test_nothing_fits(tmp_path: Path) -> None:
    (tmp_path / 'stuff').mkdir()
    with pytest.raises(
        VssError, match=r"expected a layout with split 'val' among folders: .*got \['stuff'\]"
    ):
        load_data(tmp_path, DataOptions(split='val'), TABLE)


def test_images_without_labels_are_one_error(tmp_path: Path) -> None:
    two_drives(tmp_path)
    (tmp_path / 'labels/100_0001.png').unlink()
    (tmp_path / 'labels/101_0000.png').unlink()
    with pytest.raises(
        VssError, match=r'2 faults: labels/100_0001.png is missing; labels/101_0000.png is missing;'
    ):
        load_data(tmp_path, DataOptions(layout='folders'), TABLE)


def test_masks_in_the_tables_colours(tmp_path: Path) -> None:
    colours = np.concatenate((TABLE.colours, [[0, 0, 0]])).astype(np.uint8)
    write_png(tmp_path / 'images/a.png', picture(0))
    write_png(tmp_path / 'labels/a.png', blocks_of(colours))
    data = load_data(tmp_path, DataOptions(), TABLE)
    assert np.array_equal(data.labels[0], blocks_of(IDS))


def test_no_images_at_all(tmp_path: Path) -> None:
    for name in ('images', 'labels'):
        (tmp_path / name).mkdir()
    with pytest.raises(VssError, match='expected labelled images, got none'):
        load_data(tmp_path, DataOptions(), TABLE)


def test_a_folder_is_a_recording_if_one_says_so(tmp_path: Path) -> None:
    two_drives(tmp_path)
    (tmp_path / 'labels/100_0001.png').unlink()  # frames between may lack their mask
    data = load_data(tmp_path, DataOptions(layout='recording', size=(32, 48), every=2), TABLE)
    assert isinstance(data, LabelledVideo)
    assert (data.places, data.earlier, len(data.frames)) == ([0, 3], [0, 3], 4)
    assert np.array_equal(data.labels[1], blocks_of(IDS)[::2, ::2])
    assert (data.images[1].shape, data.labels[1].shape) == ((32, 48, 3), (32, 48))
    scored = load_data(tmp_path, DataOptions(layout='recording', size=(32, 48)), TABLE, scale_labels=False)
    assert scored.labels[0].shape == SIZE


def test_a_bag_is_a_recording(tmp_path: Path) -> None:
    write_png(tmp_path / 'val/0.png', picture(0))
    write_png(tmp_path / 'val/1.png', picture(1))
    write_png(tmp_path / 'valannot/1.png', blocks_of(IDS))
    assert main(['bag', 'make', str(tmp_path / 'val'), '-o', str(tmp_path / 'bag'), '--format', 'png']) == 0
    data = load_data(tmp_path / 'bag', DataOptions(), TABLE, moving=True)
    assert isinstance(data, LabelledVideo)
    assert (data.places, data.earlier) == ([1], [1])
    assert np.array_equal(data.labels[0], blocks_of(IDS))
    assert np.array_equal(data.frames[0], picture(0))


def test_recordings_that_teach_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert cv2.imwrite(str(tmp_path / '0.png'), picture(0))
    with pytest.raises(VssError, match='expected frames with masks, got 1 frames and no mask'):
        load_data(tmp_path, DataOptions(layout='recording'), TABLE)
    two_drives(tmp_path / 'a')
    write_png(tmp_path / 'a/labels/100_0002.png', np.full(SIZE, 12, np.uint8))
    found = load_data(tmp_path / 'a', DataOptions(layout='recording'), TABLE)
    assert '100_0002' not in ' '.join(found.names)
    assert '100_0002.png: pixel (x=0, y=0) has value 12, expected' in caplog.text
    monkeypatch.setattr('vss_ros.datasets.listing.MEMORY_SHARE', 0.0)
    with pytest.raises(VssError, match='a quarter of the free memory'):
        load_data(tmp_path / 'a', DataOptions(layout='recording'), TABLE)
