"""The whole network on labelled images, at the size that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from engine_parts import backbone

from vss_ros.datasets.labelled import LabelledImages
from vss_ros.evaluation.card_scores import per_frame_confusion

if TYPE_CHECKING:
    import torch


@pytest.mark.parametrize(('size', 'seen'), [(None, (64, 96)), ((96, 128), (96, 128))])
def test_images_are_seen_at_the_size_and_labels_stay(
    size: tuple[int, int] | None, seen: tuple[int, int]
) -> None:
    net = backbone()
    shapes: list[torch.Size] = []
    net.register_forward_pre_hook(lambda _, given: shapes.append(given[0].shape))
    image, labels = np.zeros((64, 96, 3), np.uint8), np.zeros((64, 96), np.uint8)
    matrix = per_frame_confusion(net, LabelledImages([image], [labels], ['a']), size)
    assert [tuple(shape[-2:]) for shape in shapes] == [seen]
    assert matrix.counts.sum() == labels.size
