from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from vss_ros.errors import VssError
from vss_ros.images.video_encoding import VideoWriter
from vss_ros.recordings.open import open_source

if TYPE_CHECKING:
    from pathlib import Path


def test_video_is_whole_and_right(tmp_path: Path) -> None:
    path = tmp_path / 'out' / 'overlay.mp4'
    with VideoWriter(path, 15) as video:
        for i in range(10):
            assert not path.exists()
            video.write(np.full((47, 63, 3), 20 * i, np.uint8))
    assert [entry.name for entry in path.parent.iterdir()] == ['overlay.mp4']
    with open_source(path) as source:
        frames = [frame for frame, _ in source]
        assert source.fps == 15
    assert frames[0].image.shape == (46, 62, 3)
    assert [round(float(frame.image.mean()) / 20) for frame in frames] == list(range(10))


def test_an_image_of_another_size_is_scaled_to_the_first(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / 'o.mp4', 15) as video:
        video.write(np.zeros((48, 64, 3), np.uint8))
        video.write(np.full((96, 32, 3), 200, np.uint8))
    with open_source(tmp_path / 'o.mp4') as source:
        images = [frame.image for frame, _ in source]
    assert [image.shape for image in images] == [(48, 64, 3)] * 2
    assert abs(float(images[1].mean()) - 200) < 3


def test_failures_leave_nothing(tmp_path: Path) -> None:
    target, image = tmp_path / 'o.mp4', np.zeros((48, 64, 3), np.uint8)

    def interrupt() -> None:
        with VideoWriter(target, 15) as video:
            video.write(image)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    with pytest.raises(VssError, match='fps'), VideoWriter(target, 0) as video:
        video.write(image)
    with pytest.raises(VssError, match='2x2'), VideoWriter(target, 15) as video:
        video.write(image[:1])
    with VideoWriter(target, 15):
        pass
    assert not list(tmp_path.iterdir())
