"""The stages from data to cards on a handful of tiny frames, with nothing left out but time."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest
import torch
from engine_parts import backbone, frame, view_of
from torch import Tensor, nn
from training_parts import changed, drive, recipe

from experiments.switches import switched_off
from vss_ros.engine.motion import MOTIONS
from vss_ros.engine.propagation import PROPAGATIONS, Propagation
from vss_ros.engine.propagation.base import Shapes, Switch
from vss_ros.engine.schedulers import SCHEDULERS, Scheduler
from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation
from vss_ros.training.pair_stages import PairParts, train_motion, train_pairs

if TYPE_CHECKING:
    from pathlib import Path

    from vss_ros.engine.pair_batch import Hop, PairBatch
    from vss_ros.engine.view import View

LEARNED = [
    'distortion_aware',
    'guided_filter',
    'refined_warping',
    'spatially_variant_conv',
    'tamed_warping',
    'temporal_holistic_attention',
    'warp_and_repair',
    'warped_holistic_attention',
]


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
    estimators = nn.ModuleDict({name: MOTIONS.get(name)()})
    before = {key: value.detach().clone() for key, value in estimators.named_parameters()}
    trained = train_motion(recipe(2), estimators, {'drive': drive()}, lambda _: {}, tmp_path, resume=False)
    assert len(changed(before, trained)) > 0.5 * len(before)


class ScaledReuse(Propagation):
    """A method from outside the package: network, own loss and switch in one class.

    The key frame's features plus a correction by a 1x1 convolution of the current F_l.
    """

    switches: ClassVar = {'correction = 0': Switch('correct', (0.0,))}
    own_losses: ClassVar[list[float]] = []

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        self.correct = nn.Conv2d(shapes.low_channels, shapes.high_channels, 1)

    def propagate(self, source: Tensor, source_high: Tensor, current: Tensor, view: View) -> Tensor:
        return torch.add(source_high, self.correct(view.low))

    def training_loss(self, hop: Hop) -> tuple[Tensor, Tensor]:
        answer = self(hop.source, hop.source_high, hop.view)
        own = 100 * (answer - hop.batch.high).square().mean()
        self.own_losses.append(own.item())
        return answer, own


class Constant(Scheduler):
    """Predicts the mean deviation of what it was trained on."""

    trainable = True

    def __init__(self, low_channels: int, **options: float) -> None:
        super().__init__(low_channels, **options)  # type: ignore[arg-type]
        self.bias = nn.Parameter(torch.zeros(()))

    def score(self, key: Tensor | None, current: Tensor | None, view: View) -> float:
        return self.bias.item()

    def training_loss(self, batch: PairBatch) -> Tensor:
        return (self.bias - batch.deviation().mean()).square()


def outside_parts() -> PairParts:
    """Return the two methods that this file defines."""
    net = backbone()
    torch.manual_seed(0)
    moves = ScaledReuse(Shapes.of(net, ScaledReuse.space))
    return PairParts({'scaled_reuse': moves}, Constant(net.low_channels))


def test_a_method_from_outside_learns_by_its_own_loss(tmp_path: Path) -> None:
    ScaledReuse.own_losses.clear()
    before = {name: value.detach().clone() for name, value in outside_parts().named_parameters()}
    parts = train_pairs(
        recipe(4), backbone(), outside_parts(), {'drive': drive()}, None, tmp_path, resume=False
    )
    assert len(ScaledReuse.own_losses) == 8
    assert ScaledReuse.own_losses[-1] < ScaledReuse.own_losses[0]
    assert changed(before, parts) == before.keys()


def test_a_switch_takes_a_correction_out_and_puts_it_back() -> None:
    net = backbone()
    moves = ScaledReuse(Shapes.of(net, ScaledReuse.space)).eval()
    view = view_of(net, frame(1), frame(0))
    high = torch.randn(1, moves.shapes.high_channels, *view.low.shape[2:])
    with torch.inference_mode():
        corrected = moves(view, high, view)
        with switched_off(moves, 'correction = 0'):
            assert torch.equal(moves(view, high, view), high)
        assert torch.equal(moves(view, high, view), corrected)
    assert not torch.equal(corrected, high)


def test_a_scheduler_that_is_not_trainable_says_so() -> None:
    net = backbone()
    with pytest.raises(NotImplementedError, match='FixedInterval needs no training'):
        SCHEDULERS.get('fixed_interval')(net.low_channels).training_loss(None)  # type: ignore[arg-type]
