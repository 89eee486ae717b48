"""The distortion-aware paper's losses by hand."""

from __future__ import annotations

from math import log

import pytest
import torch

from vss_ros.engine.propagation.distortion_aware import (
    Correction,
    FrameLosses,
    correct,
    distortion_loss,
    distortion_target,
    dual_deep_supervision,
    frame_losses,
    pseudo_labels,
)

VOID = 11


def parts(distortion: float) -> Correction:
    """Return two cells of two classes: f_P undecided, f_CC one to three in favour of class 0."""
    propagated = torch.zeros(1, 2, 1, 2)
    cues = torch.zeros(1, 2, 1, 2)
    cues[:, 0] = log(3)
    return Correction(
        propagated.requires_grad_(),
        cues.requires_grad_(),
        torch.full((1, 1, 1, 2), distortion, requires_grad=True),
    )


def losses(distortion: float, labels: list[int]) -> FrameLosses:
    made = parts(distortion)
    return frame_losses(made, correct(*made), torch.tensor([[labels]]), VOID)


def test_equations_3_5_6_and_7() -> None:
    got = losses(0.5, [0, 1])
    root = 3**0.5
    corrected = (log((root + 1) / root) + log(root + 1)) / 2
    guided = 0.5 * (log(4 / 3) + log(4)) / 2
    assert got.propagation.item() == pytest.approx(log(2))
    assert got.correction.item() == pytest.approx(corrected)
    assert got.guided.item() == pytest.approx(guided)
    assert got.total.item() == pytest.approx((log(2) + corrected + guided) / 3)


def test_void_pixels_count_nowhere() -> None:
    got = losses(0.5, [0, VOID])
    assert got.propagation.item() == pytest.approx(log(2))
    assert got.guided.item() == pytest.approx(0.5 * log(4 / 3))
    assert losses(0.5, [VOID, VOID]).total.item() == 0


def test_distortion_weighs_the_cues_and_does_not_learn_from_them() -> None:
    made = parts(0.25)
    got = frame_losses(made, correct(*made), torch.tensor([[[0, 1]]]), VOID)
    got.guided.backward()
    assert made.cues.grad is not None
    assert made.distortion.grad is None
    assert losses(0.0, [0, 1]).guided.item() == 0
    assert losses(1.0, [0, 1]).guided.item() == pytest.approx(4 * got.guided.item())


def test_dual_deep_supervision_is_the_mean_of_two_frames() -> None:
    middle, last = losses(0.2, [0, 0]), losses(0.8, [1, 1])
    both = dual_deep_supervision(middle, last)
    assert both.item() == pytest.approx((middle.total.item() + last.total.item()) / 2)


def test_logits_are_brought_to_the_labels_size() -> None:
    made = parts(0.5)
    labels = torch.tensor([[[0, 0, 1, 1]] * 2])
    got = frame_losses(made, correct(*made), labels, VOID)
    assert got.propagation.item() == pytest.approx(log(2))


def test_pseudo_labels_are_the_networks() -> None:
    logits = torch.zeros(1, 3, 1, 2)
    logits[0, 2, 0, 0] = logits[0, 1, 0, 1] = 1
    assert pseudo_labels(logits, torch.zeros(2, 4)).tolist() == [[[2, 2, 1, 1]] * 2]


def test_target_is_where_label_maps_differ() -> None:
    one, other = torch.zeros(1, 3, 1, 3), torch.zeros(1, 3, 1, 3)
    one[0, 0] = 1
    other[0, 0] = 1
    other[0, 2, 0, 1] = 2  # another class
    other[0, 1, 0, 2] = 0.5  # less sure of the same
    target = distortion_target(one, other)
    assert target.tolist() == [[[[0, 1, 0]]]]
    assert distortion_loss(target, target) < 1e-6
    assert distortion_loss(torch.full_like(target, 0.5), target).item() == pytest.approx(log(2))
