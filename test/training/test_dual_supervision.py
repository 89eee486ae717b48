"""The distortion-aware propagation learns from the frame between, which nobody labelled, too."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from engine_parts import backbone, propagation

from vss_ros.datasets.pairs import Triple
from vss_ros.engine.motion import MOTIONS
from vss_ros.training.pair_stages import pair_batch, propagation_loss

if TYPE_CHECKING:
    from vss_ros.engine.pair_batch import PairBatch


def batch() -> PairBatch:
    """Return two triples of a texture that moves; not a pixel of their last frames is labelled."""
    rng = np.random.default_rng(0)
    wide = np.kron(rng.integers(0, 256, (8, 16, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
    key, between, current = (np.ascontiguousarray(wide[:, i : i + 96]) for i in (0, 4, 12))
    void = np.full((64, 96), 11, np.uint8)
    made = pair_batch(backbone(), [Triple(key, between, current, void)] * 2, MOTIONS.get('dis')())
    # What the whole network says of the last frames teaches nothing here either: all classes alike.
    return replace(made, teacher=torch.zeros_like(made.teacher))


def learned(given: PairBatch, seed: int) -> torch.Tensor:
    """Return what CFNet would learn from a batch, its last layer's gradient; the seed chooses the source."""
    net = backbone()
    moves = propagation(net, 'distortion_aware').train()
    propagation_loss(moves, net, given, np.random.default_rng(seed)).backward()
    gradient = dict(moves.named_parameters())['cues.predict.weight'].grad
    assert gradient is not None
    return gradient


def test_the_frame_between_teaches_by_the_networks_own_labels() -> None:
    given = batch()
    other = replace(given, between_logits=-given.between_logits)
    for seed in range(8):  # from the key frame, and from a frame that was itself propagated
        assert not torch.equal(learned(given, seed), learned(other, seed)), seed
