"""The stages from data to cards on a handful of tiny frames, with nothing left out but time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from engine_parts import backbone

from vss_ros.datasets.labelled import LabelledVideo
from vss_ros.datasets.pairs import VideoPairs
from vss_ros.engine.motion import MOTIONS
from vss_ros.engine.propagation import PROPAGATIONS
from vss_ros.engine.propagation.base import Shapes
from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation
from vss_ros.training.motion_stage import Estimators, train_motion
from vss_ros.training.pair_stage import PairParts, train_pairs
from vss_ros.training.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

LEARNED = [
    'distortion_aware',
    'guided_filter',
    'refined_warping',
    'spatially_variant_conv',
    'tamed_warping',
    'temporal_holistic_attention',
    'warped_holistic_attention',
]


def drive() -> VideoPairs:
    """Return six frames of a texture that moves to the left, with labels that move along."""
    rng = np.random.default_rng(0)
    wide = np.kron(rng.integers(0, 256, (8, 16, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
    ids = np.kron(rng.integers(0, 11, (8, 16), dtype=np.uint8), np.ones((8, 8), np.uint8))
    views = [slice(3 * i, 3 * i + 96) for i in range(6)]
    images = [np.ascontiguousarray(wide[:, view]) for view in views]
    labels = [np.ascontiguousarray(ids[:, view]) for view in views]
    places = list(range(6))
    return VideoPairs(LabelledVideo(images, labels, [f'{i}' for i in places], images, places, places))


def recipe(epochs: int) -> Recipe:
    """Return a recipe of two steps an epoch."""
    return Recipe(
        stage='pairs', model='x', epochs=epochs, batch=2, images_per_epoch=4, crop=(64, 96), distances=(2, 3)
    )


def changed(before: dict[str, torch.Tensor], module: nn.Module) -> set[str]:
    """Return the names of the parameters that are no longer what they were; all have to be finite."""
    parameters = dict(module.named_parameters())
    assert all(bool(torch.isfinite(value).all()) for value in parameters.values())
    return {name for name, value in parameters.items() if not torch.equal(value, before[name])}


def pair_parts() -> PairParts:
    """Return all propagations that learn, and the scheduler."""
    net = backbone()
    torch.manual_seed(0)
    classes = {name: PROPAGATIONS.get(name) for name in LEARNED}
    moves = {name: cls(Shapes.of(net, cls.space)) for name, cls in classes.items()}
    return PairParts(moves, PredictedDeviation(net.low_channels))


def train(folder: Path, epochs: int, *, resume: bool = False) -> PairParts:
    """Run the pair stage."""
    folder.mkdir(exist_ok=True)
    dis = MOTIONS.get('dis')()
    return train_pairs(
        recipe(epochs), backbone(), pair_parts(), {'drive': drive()}, None, folder, resume=resume, motion=dis
    )


def test_every_propagation_that_has_weights_learns_side_by_side(tmp_path: Path) -> None:
    net = backbone()
    with_weights = [
        member.name
        for member in PROPAGATIONS
        if any(True for _ in member.cls(Shapes.of(net, member.cls.space)).parameters())
    ]
    assert sorted(with_weights) == LEARNED
    before = {name: value.detach().clone() for name, value in pair_parts().named_parameters()}
    learned = changed(before, train(tmp_path / 'a', 2))
    for member in (*(f'propagations.{name}.' for name in LEARNED), 'scheduler.'):
        assert any(name.startswith(member) for name in learned), member


def test_two_runs_agree_to_the_bit_also_when_one_is_resumed(tmp_path: Path) -> None:
    once = train(tmp_path / 'a', 2).state_dict()
    again = train(tmp_path / 'b', 2).state_dict()
    assert all(torch.equal(once[name], again[name]) for name in once)
    resumed = train(tmp_path / 'b', 2, resume=True).state_dict()  # nothing is left to do
    assert all(torch.equal(once[name], resumed[name]) for name in once)


@pytest.mark.parametrize('name', ['light_flow', 'flow_net_s'])
def test_motion_estimators_learn(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    estimators = Estimators({name: MOTIONS.get(name)()})
    before = {key: value.detach().clone() for key, value in estimators.named_parameters()}
    trained = train_motion(recipe(2), estimators, {'drive': drive()}, lambda _: {}, tmp_path, resume=False)
    assert len(changed(before, trained)) > 0.5 * len(before)
