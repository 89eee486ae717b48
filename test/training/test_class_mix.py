"""Half of one view's classes are pasted onto another, pixels and labels alike."""

from __future__ import annotations

import numpy as np
import torch

from vss_ros.training.backbone_stage import class_mix

VOID = 11


def views() -> tuple[torch.Tensor, torch.Tensor]:
    """Return four views of random blocks; every pixel says of which view and class it is."""
    rng = np.random.default_rng(3)
    blocks = torch.from_numpy(rng.integers(0, VOID + 1, (4, 6, 8)))
    labels = blocks.repeat_interleave(4, 1).repeat_interleave(4, 2)
    number = torch.arange(4.0).view(4, 1, 1).expand(4, 24, 32)
    return torch.stack((number, labels.float(), number + labels), 1), labels


def test_pixels_and_labels_move_together() -> None:
    images, labels = views()
    mixed, ids = class_mix(images, labels, 1.0, np.random.default_rng(0), VOID)
    assert (mixed.shape, mixed.dtype, ids.shape, ids.dtype) == (
        images.shape, images.dtype, labels.shape, labels.dtype,
    )  # fmt: skip
    assert torch.equal(mixed[:, 1].long(), ids)
    for view in range(4):
        other = (view + 1) % 4
        pasted = mixed[view, 0] == other
        assert torch.equal(mixed[view, 0][~pasted], images[view, 0][~pasted])
        there = set(labels[other][pasted].tolist())
        present = set(labels[other].flatten().tolist()) - {VOID}
        assert VOID not in there
        assert len(there) == len(present) // 2
        assert all(
            bool(pasted[labels[other] == k].all()) for k in there
        )  # whole classes, with their outlines


def test_what_is_given_stays_as_it_is() -> None:
    images, labels = views()
    before = images.clone(), labels.clone()
    class_mix(images, labels, 1.0, np.random.default_rng(0), VOID)
    assert torch.equal(images, before[0])
    assert torch.equal(labels, before[1])


def test_without_a_share_nothing_is_drawn_or_pasted() -> None:
    images, labels = views()
    rng = np.random.default_rng(0)
    mixed, ids = class_mix(images, labels, 0.0, rng, VOID)
    assert (mixed is images, ids is labels) == (True, True)
    assert rng.random() == np.random.default_rng(0).random()


def test_as_many_views_as_the_share_says() -> None:
    images, labels = views()
    rng = np.random.default_rng(0)
    changed = [
        (class_mix(images, labels, 0.25, rng, VOID)[1] != labels).flatten(1).any(1).float().mean().item()
        for _ in range(60)
    ]
    assert 0.15 < float(np.mean(changed)) < 0.35


def test_one_view_or_nothing_but_void_is_left_alone() -> None:
    images, labels = views()
    rng = np.random.default_rng(0)
    assert torch.equal(class_mix(images[:1], labels[:1], 1.0, rng, VOID)[1], labels[:1])
    void = torch.full_like(labels, VOID)
    assert torch.equal(class_mix(images, void, 1.0, rng, VOID)[0], images)
