"""What training takes from earlier cards: a teacher's answers and features, or the weights to start with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from vss_ros.engine.backbones import BACKBONES
from vss_ros.engine.build import new_backbone
from vss_ros.engine.layers.blocks import resize_like
from vss_ros.engine.model_card import load_weights, read_card
from vss_ros.errors import VssError
from vss_ros.training.computing import answering

if TYPE_CHECKING:
    from pathlib import Path

    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.model_card import ModelCard
    from vss_ros.images.classes import ClassTable
    from vss_ros.training.recipe import Recipe


PROBE = 64
"""Height and width in pixels of the image that channels are counted with."""
STEADY = 1e-3
"""Added to a channel's standard deviation, for channels that say nothing."""


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

    @torch.no_grad()
    def soft_labels(self, image: Tensor, weights: Tensor) -> Tensor:
        """Return what a pupil is to answer while it learns with class weights.

        The pupil's other loss makes it answer ``w_c p(c | x)``. What was taken back from the teacher is given
        again, so that both ask for the same. Of an image ``(N, 3, H, W)`` and the class weights ``(C,)`` of
        the pupil's loss it makes shares of one, ``(N, C, h, w)`` float32.
        """
        with answering(image.device):
            logits = self.network(image).float()
        return (logits + self.adjusted * weights.log().view(1, -1, 1, 1)).softmax(1)  # type: ignore[no-any-return]


class FeatureTap:
    """Keeps what the encoder stages of some strides returned in a network's latest forward pass."""

    def __init__(self, network: Backbone, strides: list[int]) -> None:
        self.strides = strides
        self.features: dict[int, Tensor] = {}
        for stride in strides:

            def keep(_stage: nn.Module, _inputs: object, output: Tensor, stride: int = stride) -> None:
                self.features[stride] = output

            network.get_submodule(network.encoder_stages[stride]).register_forward_hook(keep)

    @torch.no_grad()
    def channels(self, network: Backbone) -> dict[int, int]:
        """Return channels by stride; the network is left in the mode it was in.

        Raises:
            VssError: A stage is not called, or returns no tensor.
        """
        training = network.training
        probe = next(network.parameters()).new_zeros(1, 3, PROBE, PROBE)
        network.eval()(probe)
        network.train(training)
        for stride in self.strides:
            if not isinstance(self.features.get(stride), Tensor):
                raise VssError(
                    f'{type(network).__name__}: expected its encoder stage {network.encoder_stages[stride]} '
                    f'(stride {stride}) to be called and return a tensor; name another in encoder_stages'
                )
        return {stride: features.shape[1] for stride, features in self.features.items()}


class Hints(nn.Module):
    """Distance of a pupil's encoder features from its teacher's (FitNets, Romero et al. 2015, Eq. 3).

    A pupil without ImageNet weights so learns what the teacher's have become, at every stride at once. A
    1x1 convolution of each stage, thrown away after training, brings the pupil's channels to the teacher's,
    which are standardised over the batch, so that all of them and all stages weigh the same. The teacher is
    frozen and in evaluation mode; both networks stay hooked.

    Raises:
        VssError: The two have no encoder stage of one stride in common, or name one that returns no tensor.
    """

    def __init__(self, pupil: Backbone, teacher: Backbone) -> None:
        super().__init__()
        self.strides = common_strides(type(pupil), type(teacher))
        self._pupil, self._teacher = FeatureTap(pupil, self.strides), FeatureTap(teacher, self.strides)
        mine, theirs = self._pupil.channels(pupil), self._teacher.channels(teacher)
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
        raise VssError(
            f'hints: {pupil.__name__} and its teacher {teacher.__name__} have no encoder stage of the same '
            'stride; leave hints out of the recipe'
        )
    return strides


def teacher_card(recipe: Recipe, table: ClassTable, output: Path) -> ModelCard | None:
    """Return the card of a recipe's teacher, None without one.

    It is one in ``output``, where former recipes wrote theirs, else one in ``models/`` or a path; ``table``
    has the classes to answer with.

    Raises:
        VssError: No such card, one of other classes, or one whose encoder can give the recipe's hints to no
            stage of the pupil's.
    """
    if not recipe.teacher:
        return None
    card = _card_at_hand(recipe.teacher, output)
    if card.kind != 'backbone':
        raise VssError(f'teacher {card.name}: expected the card of a backbone, got one of a {card.kind}')
    if card.class_names != table.names:
        raise VssError(
            f'teacher {card.name}: expected one for the classes {table.name} ({len(table)}), got one for '
            f'{card.classes} ({len(card.class_names)}); train one for yours first, or leave the teacher out'
        )
    if recipe.hints:
        common_strides(BACKBONES.get(recipe.backbone), BACKBONES.get(card.builder))
    return card


def start_card(recipe: Recipe, output: Path) -> ModelCard | None:
    """Return the card whose weights a recipe starts with, None without one; found as a teacher's is.

    Raises:
        VssError: No such card, or one of another network.
    """
    if not recipe.start:
        return None
    card = _card_at_hand(recipe.start, output)
    if (card.kind, card.builder) != ('backbone', recipe.backbone):
        raise VssError(
            f'start {card.name}: expected the card of a backbone {recipe.backbone}, got one of a {card.kind} '
            f'{card.builder}; name another, or leave start out'
        )
    return card


def _card_at_hand(name: str, output: Path) -> ModelCard:
    written = output / f'{name}.yaml'
    return read_card(written if written.is_file() else name)


def start_with(network: Backbone, card: ModelCard, classes: tuple[str, ...], weights: Tensor) -> None:
    """Copy a card's weights into a network of the same kind, in place.

    What was taken back from its answers is given again, because class weights are what it goes on learning
    with. A classifier of other classes stays as it is. ``classes`` are the network's, ``weights`` those of
    the classes in its loss, ``(C,)``.
    """
    trained = new_backbone(card)
    load_weights(card, trained)
    state = trained.state_dict()
    if card.class_names == classes:
        network.load_state_dict(state)
        take_back(network, weights, -float(card.recipe.get('logit_adjustment', 0.0)))
        return
    mine = network.state_dict()
    kept = {k: v for k, v in state.items() if not k.startswith('classify.') and v.shape == mine[k].shape}
    network.load_state_dict(mine | kept)


def take_back(network: Backbone, weights: Tensor, share: float = 1.0) -> None:
    """Lower a network's logits by ``share * log(weights)``, after Menon et al. 2021 (section 4.1).

    Cross entropy weighted by class w_c learns posteriors in proportion to ``w_c p(c | x)``: rare classes are
    not overlooked, and then too often answered. Taking log w_c from the classifier's bias gives p(c | x)
    again. That paper shifts the logits the other way, for errors that are balanced over classes; mIoU
    counts what is wrongly answered as much as what is missed. It costs nothing at run time.

    Args:
        network: Trained; changed in place. ``classify`` is or ends in the convolution that makes its logits.
        weights: ``(C,)``, of the classes, above 0.
        share: 0 for the network as it is, 1 for the weights wholly undone.

    Raises:
        VssError: The network has no such convolution with a bias.
    """
    if not share:
        return
    *_, last = getattr(network, 'classify', nn.Identity()).modules()
    if not isinstance(last, nn.Conv2d) or last.bias is None or len(last.bias) % len(weights):
        raise VssError(
            f'{type(network).__name__}: expected classify to end in a convolution with a bias for each of '
            f'{len(weights)} classes; set logit_adjustment to 0'
        )
    # A sub-pixel head has the cells of one class beside each other.
    offset = share * weights.log().repeat_interleave(len(last.bias) // len(weights))
    with torch.no_grad():
        last.bias -= offset.to(last.bias)
