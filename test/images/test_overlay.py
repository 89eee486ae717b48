from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from vss_ros.errors import VssError
from vss_ros.images.classes import load_classes
from vss_ros.images.overlay import OverlayWriter, blend
from vss_ros.recordings.open import open_source

if TYPE_CHECKING:
    from pathlib import Path


def test_blend_scales_labels_to_the_image() -> None:
    table = load_classes('camvid11')
    image = np.full((40, 60, 3), 100, np.uint8)
    labels = np.array([[0, 3]], np.uint8)
    drawn = blend(image, labels, table, 0.5)
    assert drawn.shape == image.shape
    assert drawn[0, 0].tolist() == [114, 114, 114]
    assert drawn[0, 59].tolist() == [114, 82, 114]
    assert np.array_equal(blend(image, labels, table, 0), image)


def test_video_is_whole_and_right(tmp_path: Path) -> None:
    path = tmp_path / 'out' / 'overlay.mp4'
    with OverlayWriter(path, (47, 63), 15) as video:
        for i in range(10):
            assert not path.exists()
            video.write(np.full((47, 63, 3), 20 * i, np.uint8))
    assert [entry.name for entry in path.parent.iterdir()] == ['overlay.mp4']
    with open_source(path) as source:
        frames = [frame for frame, _ in source]
        assert source.fps == 15
    assert frames[0].image.shape == (46, 62, 3)
    assert [round(float(frame.image.mean()) / 20) for frame in frames] == list(range(10))


def test_failures_leave_nothing(tmp_path: Path) -> None:
    target = tmp_path / 'o.mp4'
    with pytest.raises(VssError, match='images of'), OverlayWriter(target, (48, 64), 15) as video:
        video.write(np.zeros((48, 65, 3), np.uint8))
    with pytest.raises(KeyboardInterrupt), OverlayWriter(tmp_path / 'o.mp4', (48, 64), 15):
        raise KeyboardInterrupt
    with pytest.raises(VssError, match='fps'):
        OverlayWriter(tmp_path / 'o.mp4', (48, 64), 0)
    assert not list(tmp_path.iterdir())
