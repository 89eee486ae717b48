"""The losses by hand."""

from __future__ import annotations

import torch

from vss_ros.training.losses import class_weights, every_second, segmentation_loss


def test_perfect_prediction_costs_nothing_and_void_is_ignored() -> None:
    labels = torch.tensor([[[0, 1], [2, 11]]])
    logits = torch.full((1, 3, 2, 2), -20.0)
    for i, j, label in ((0, 0, 0), (0, 1, 1), (1, 0, 2)):
        logits[0, label, i, j] = 20.0
    logits[0, :, 1, 1] = torch.tensor([50.0, -50.0, 0.0])  # void: whatever is said there
    assert segmentation_loss(logits, labels, torch.ones(3), 11) < 1e-5


def test_wrong_prediction_costs() -> None:
    labels = torch.zeros(1, 2, 2, dtype=torch.long)
    logits = torch.zeros(1, 3, 2, 2)
    logits[:, 1] = 10.0
    # cross entropy 10 + log(1 + 2e-10...) and half of Jaccard loss 1
    assert abs(segmentation_loss(logits, labels, torch.ones(3), 11).item() - 10.5) < 1e-2


def test_rare_classes_weigh_more_within_bounds() -> None:
    weights = class_weights(torch.tensor([100.0, 10_000.0, 1_000_000.0]))
    assert weights.tolist() == [3.0, 1.0, 0.5]


def test_every_second_pixel_is_judged_by_its_own_label() -> None:
    labels = torch.arange(8 * 12).reshape(1, 8, 12)
    # Logits that say at each pixel of half the size what the labels are there: linear in both directions.
    logits = torch.nn.functional.avg_pool2d(labels[:, None].float(), 2)
    kept, ids = every_second(logits, labels)
    assert kept.shape == (1, 1, 4, 6)
    assert ids.shape == (1, 4, 6)
    inner = (slice(None), slice(1, -1), slice(1, -1))
    assert torch.allclose(kept[:, 0][inner], ids[inner].float(), atol=1e-4)
