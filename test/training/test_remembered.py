"""What is remembered of frames is what they were, and a propagation learns from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from engine_parts import backbone
from training_parts import changed, drive, recipe

from vss_ros.engine.device import CPU
from vss_ros.engine.motion import MOTIONS
from vss_ros.engine.propagation import PROPAGATIONS
from vss_ros.engine.propagation.base import Shapes
from vss_ros.training.data_sets import draw_triples
from vss_ros.training.pair_stages import PairParts, pair_batch, train_pairs
from vss_ros.training.remembered import Remembered

if TYPE_CHECKING:
    from pathlib import Path

    from vss_ros.engine.pair_batch import PairBatch
    from vss_ros.training.data_sets import Drawable


@pytest.fixture(scope='module')
def pair() -> tuple[PairBatch, Remembered]:
    """A batch of four as the stage makes it, and the memory of it."""
    dis = MOTIONS.get('dis')()
    four = recipe(1).model_copy(update={'batch': 4})
    batch = pair_batch(backbone(), draw_triples(four, {'drive': drive()}, np.random.default_rng(0)), dis)
    return batch, Remembered(lambda: batch, 4, dis)


def drawn(memory: Remembered, *, mirrored: bool) -> PairBatch:
    """Return all four in their order."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        rng.permutation(4)
        if (rng.random() < 0.5) == mirrored:
            return memory.draw(4, np.random.default_rng(seed), CPU)
    raise AssertionError


def test_a_draw_is_what_was_seen(pair: tuple[PairBatch, Remembered]) -> None:
    batch, memory = pair
    again = drawn(memory, mirrored=False)
    assert torch.equal(again.labels, batch.labels)
    for name in ('key_logits', 'between_logits', 'teacher'):
        assert torch.allclose(getattr(again, name), getattr(batch, name), atol=2e-3, rtol=2e-3)
    for mine, theirs in zip(
        (again.key, again.between, again.current), (batch.key, batch.between, batch.current), strict=True
    ):
        for stride in (2, 4):
            assert torch.allclose(mine.small(stride), theirs.small(stride), atol=0.02)
    for mine, theirs in ((again.between, batch.between), (again.current, batch.current)):
        assert mine.motion.stride == theirs.motion.stride
        assert torch.allclose(mine.motion.flow, theirs.motion.flow, atol=1e-2)


def test_a_mirrored_draw_moves_to_the_other_side(pair: tuple[PairBatch, Remembered]) -> None:
    batch, memory = pair
    again = drawn(memory, mirrored=True)
    assert torch.equal(again.labels, batch.labels.flip(-1))
    moved = again.current.motion.warp(again.between.small(4))
    wanted = batch.current.motion.warp(batch.between.small(4)).flip(-1)
    assert torch.allclose(moved, wanted, atol=0.05)


def test_each_is_drawn_once_a_batch(pair: tuple[PairBatch, Remembered]) -> None:
    _, memory = pair
    labels = memory.draw(3, np.random.default_rng(1), CPU).labels
    assert len({each.numpy().tobytes() for each in labels}) == 3


def test_a_propagation_learns_from_it(tmp_path: Path) -> None:
    net = backbone()
    torch.manual_seed(0)
    cls = PROPAGATIONS.get('warp_and_repair')
    parts = PairParts({'warp_and_repair': cls(Shapes.of(net, cls.space))}, None)
    before = {name: value.detach().clone() for name, value in parts.named_parameters()}
    settings = recipe(2).model_copy(update={'remembered': 4, 'propagations': ('warp_and_repair',)})
    sources: dict[str, Drawable] = {'drive': drive()}
    dis = MOTIONS.get('dis')()
    learned = train_pairs(settings, net, parts, sources, None, tmp_path, resume=False, motion=dis)
    assert {'propagations.warp_and_repair.repair.weight'} <= changed(before, learned)
    assert (tmp_path / 'curve.jsonl').read_text().count('\n') == 2
