"""Cityscapes as it is downloaded: snippets, label ids, only some frames labelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from vss_ros.errors import VssError
from vss_ros.recordings.image_folder import CityscapesFolder, train_ids
from vss_ros.recordings.open import open_source

if TYPE_CHECKING:
    from pathlib import Path


def image(root: Path, images: str, name: str) -> None:
    folder = root / images / 'val' / name.partition('_')[0]
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / f'{name}_leftImg8bit.png'), np.full((48, 64, 3), 90, np.uint8))


def label(root: Path, name: str, value: int, kind: str = 'labelIds') -> None:
    folder = root / 'gtFine' / 'val' / name.partition('_')[0]
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / f'{name}_gtFine_{kind}.png'), np.full((48, 64), value, np.uint8))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two snippets of one city, one of another; one frame of each labelled: road, car, ego vehicle."""
    for name in ('aachen_000000_000017', 'aachen_000000_000018', 'aachen_000000_000019'):
        image(tmp_path, 'leftImg8bit_sequence', name)
    for name in ('aachen_000001_000019', 'aachen_000001_000020', 'ulm_000000_000019'):
        image(tmp_path, 'leftImg8bit_sequence', name)
    label(tmp_path, 'aachen_000000_000019', 7)
    label(tmp_path, 'aachen_000001_000019', 26)
    label(tmp_path, 'ulm_000000_000019', 1)
    return tmp_path


@pytest.mark.parametrize('opened', ['', 'leftImg8bit_sequence', 'leftImg8bit_sequence/val'])
def test_snippets_with_one_label_each(root: Path, opened: str) -> None:
    with open_source(root / opened) as source:
        assert isinstance(source, CityscapesFolder)
        assert (source.frame_count, source.has_masks, source.fps) == (6, True, 17)
        frames = list(source)
        assert len(source.files) == 9
    assert [frame.index for frame, _ in frames] == list(range(6))
    assert [None if mask is None else int(mask[0, 0]) for _, mask in frames] == [None, None, 0, 13, None, 255]
    seconds = np.diff([frame.stamp_ns for frame, _ in frames]) / 1e9
    assert seconds == pytest.approx([1 / 17, 1 / 17, 10, 1 / 17, 10])


def test_one_city_of_single_images(tmp_path: Path) -> None:
    for name in ('aachen_000000_000019', 'aachen_000001_000019', 'ulm_000000_000019'):
        image(tmp_path, 'leftImg8bit', name)
        label(tmp_path, name, 3, 'labelTrainIds')
        label(tmp_path, name, 11)
    with open_source(tmp_path / 'leftImg8bit' / 'val' / 'aachen') as source:
        masks = [mask for _, mask in source]
        assert source.frame_count == 2
    assert all(mask is not None and (mask == 3).all() for mask in masks)


def test_labels_elsewhere(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    moved = tmp_path_factory.mktemp('labels') / 'mine'
    (root / 'gtFine').rename(moved)
    with open_source(root) as source:
        assert not source.has_masks
    with open_source(root, masks=moved) as source:
        assert sum(mask is not None for _, mask in source) == 3


def test_train_ids_are_those_of_the_class_table() -> None:
    assert train_ids()[:35].tolist() == [255] * 7 + [0, 1, 255, 255, 2, 3, 4, 255, 255, 255, 5, 255] + [
        *range(6, 16), 255, 255, 16, 17, 18, 255,
    ]  # fmt: skip


def test_no_images(tmp_path: Path) -> None:
    (tmp_path / 'leftImg8bit').mkdir()
    with pytest.raises(VssError, match='CITY_SEQUENCE_FRAME'):
        open_source(tmp_path)
