"""Learning from a teacher network: its soft labels and its encoder features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from vss_ros.engine.backbones import BACKBONES, Backbone
from vss_ros.engine.layers.blocks import resize_like
from vss_ros.errors import VssError
from vss_ros.training.computing import answering
from vss_ros.training.start import card_at_hand

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.model_card import ModelCard
    from vss_ros.images.classes import ClassTable
    from vss_ros.training.recipe import Recipe


PROBE = 64
"""Height and width in pixels of the image that channels are counted with."""
STEADY = 1e-3
"""Added to a channel's standard deviation, for channels that say nothing."""


class FeatureTap:
    """Keeps what a network's encoder stages returned in its latest forward pass.

    Args:
        network: Watched from now on.
        strides: Of the stages that are kept, in pixels.

    """

    def __init__(self, network: Backbone, strides: list[int]) -> None:
        """Hook into the stages."""
        self.features: dict[int, Tensor] = {}
        for stride in strides:
            stage = network.get_submodule(network.encoder_stages[stride])
            stage.register_forward_hook(_keeper(self.features, stride))


class Hints(nn.Module):
    """Distance of a pupil's encoder features from its teacher's (FitNets, Romero et al. 2015, Eq. 3).

    A pupil without ImageNet weights so learns what the teacher's have become, at every stride at once. A
    1x1 convolution of each stage, thrown away after training, brings the pupil's channels to the teacher's,
    which are standardised over the batch, so that all of them and all stages weigh the same.

    Args:
        pupil: The network that is trained; it stays hooked.
        teacher: A trained network, frozen, in evaluation mode; likewise.

    Raises:
        VssError: The two have no encoder stage of one stride in common, or name one that returns no tensor.

    """

    def __init__(self, pupil: Backbone, teacher: Backbone) -> None:
        """Hook into both networks and build a convolution for each stage."""
        super().__init__()
        self.strides = common_strides(type(pupil), type(teacher))
        self._pupil, self._teacher = FeatureTap(pupil, self.strides), FeatureTap(teacher, self.strides)
        mine, theirs = _channels(pupil, self._pupil), _channels(teacher, self._teacher)
        self.project = nn.ModuleList(nn.Conv2d(mine[s], theirs[s], 1) for s in self.strides)

    def forward(self) -> Tensor:
        """Return the mean squared distance after both networks have seen the same images, a scalar."""
        stages = zip(self.strides, self.project, strict=True)
        return torch.stack([self._distance(stride, project) for stride, project in stages]).mean()

    def _distance(self, stride: int, project: nn.Module) -> Tensor:
        target = self._teacher.features[stride].detach().float()
        spread, mean = torch.std_mean(target, (0, 2, 3), keepdim=True)
        answer: Tensor = project(self._pupil.features[stride].float())
        return mse_loss(resize_like(answer, target), (target - mean) / (spread + STEADY))


def common_strides(pupil: type[Backbone], teacher: type[Backbone]) -> list[int]:
    """Return the strides at which both name an encoder stage.

    Raises:
        VssError: There are none.

    """
    strides = sorted({*pupil.encoder_stages} & {*teacher.encoder_stages})
    if not strides:
        msg = (
            f'hints: {pupil.__name__} and its teacher {teacher.__name__} have no encoder stage of the same '
            'stride; leave hints out of the recipe'
        )
        raise VssError(msg)
    return strides


def _keeper(features: dict[int, Tensor], stride: int) -> Callable[[nn.Module, object, Tensor], None]:
    """Return a hook that keeps a stage's output."""

    def keep(_stage: nn.Module, _inputs: object, output: Tensor) -> None:
        features[stride] = output

    return keep


@torch.no_grad()
def _channels(network: Backbone, tap: FeatureTap) -> dict[int, int]:
    """Return channels by stride; the network is in the mode it was in."""
    training = network.training
    probe = next(network.parameters()).new_zeros(1, 3, PROBE, PROBE)
    network.eval()(probe)
    network.train(training)
    for stride, name in network.encoder_stages.items():
        if stride in tap.features and not isinstance(tap.features[stride], Tensor):
            tap.features.pop(stride)
        if stride not in tap.features:
            msg = (
                f'{type(network).__name__}: expected its encoder stage {name} (stride {stride}) to be called '
                'and return a tensor; name another in encoder_stages'
            )
            raise VssError(msg)
    return {stride: features.shape[1] for stride, features in tap.features.items()}


@dataclass(frozen=True, slots=True)
class Teacher:
    """A frozen network in evaluation mode."""

    network: Backbone
    adjusted: float = 0.0
    """Share of its class weights that was taken back from its answers, ``logit_adjustment`` of its recipe."""

    @classmethod
    def frozen(cls, network: Backbone, adjusted: float, device: torch.device) -> Teacher:
        """Return a teacher whose network is ready on a device."""
        network.eval().requires_grad_(False)
        network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(network, adjusted)

    def soft_labels(self, image: Tensor, weights: Tensor) -> Tensor:
        """Return what a pupil is to answer while it learns with class weights.

        The pupil's other loss makes it answer ``w_c p(c | x)``. What was taken back from the teacher is given
        again, so that both ask for the same.

        Args:
            image: ``(N, 3, H, W)``.
            weights: Of the classes in the pupil's loss, ``(C,)``.

        Returns:
            Shares of one, ``(N, C, h, w)`` float32.

        """
        with torch.no_grad():
            with answering(image.device):
                logits = self.network(image).float()
            return (logits + self.adjusted * weights.log().view(1, -1, 1, 1)).softmax(1)  # type: ignore[no-any-return]


def teacher_card(recipe: Recipe, table: ClassTable, output: Path) -> ModelCard | None:
    """Return the card of a recipe's teacher, None without one.

    Args:
        recipe: Its ``teacher`` is a card in ``output``, else one in ``models/`` or a path.
        table: The classes to answer with.
        output: Where the cards of former recipes were written.

    Raises:
        VssError: No such card, one of other classes, or one whose encoder can give the recipe's hints to no
            stage of the pupil's.

    """
    if not recipe.teacher:
        return None
    card = card_at_hand(recipe.teacher, output)
    if card.kind != 'backbone':
        msg = f'teacher {card.name}: expected the card of a backbone, got one of a {card.kind}'
        raise VssError(msg)
    if card.class_names != table.names:
        msg = (
            f'teacher {card.name}: expected one for the classes {table.name} ({len(table)}), got one for '
            f'{card.classes} ({len(card.class_names)}); train one for yours first, or leave the teacher out'
        )
        raise VssError(msg)
    if recipe.hints:
        common_strides(BACKBONES.get(recipe.backbone), BACKBONES.get(card.builder))
    return card
