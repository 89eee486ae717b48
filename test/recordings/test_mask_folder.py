"""Masks in a folder of their own find their frames by stamp, number or order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from vss_ros.engine.frames import Frame
from vss_ros.errors import VssError
from vss_ros.images.image_error import ImageError
from vss_ros.recordings.source import MaskFolder

if TYPE_CHECKING:
    from pathlib import Path

FRAMES = [Frame(np.zeros((6, 8, 3), np.uint8), 1_700_000_000_000_000_000 + i, i) for i in range(4)]


def found(folder: Path, names: dict[str, int], *, count: int | None = 4) -> list[int | None]:
    for name, value in names.items():
        cv2.imwrite(str(folder / f'{name}.png'), np.full((6, 8), value, np.uint8))
    masks = MaskFolder(folder, count)
    values = [masks.mask_of(frame, frame.index) for frame in FRAMES]
    return [None if value is None else int(value[0, 0]) for value in values]


def test_stamps(tmp_path: Path) -> None:
    assert found(tmp_path, {str(FRAMES[2].stamp_ns): 5}) == [None, None, 5, None]


def test_frame_numbers(tmp_path: Path) -> None:
    assert found(tmp_path, {'000001': 5, '3': 6}, count=None) == [None, 5, None, 6]


def test_as_many_as_frames_go_by_order_whatever_their_numbers(tmp_path: Path) -> None:
    assert found(tmp_path, {'0010': 1, '0020': 2, '0030': 3, '0040': 4}) == [1, 2, 3, 4]


def test_names_that_tell_nothing(tmp_path: Path) -> None:
    with pytest.raises(VssError, match='a mask for each of 4 frames'):
        found(tmp_path, {'left': 1, 'right': 2})


def test_a_mask_of_another_size(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / '1.png'), np.zeros((6, 7), np.uint8))
    with pytest.raises(ImageError, match='size'):
        MaskFolder(tmp_path, 4).mask_of(FRAMES[1], 1)
