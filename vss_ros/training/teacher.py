"""The trained network that another learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from vss_ros.engine.backbones import BACKBONES, Backbone
from vss_ros.errors import VssError
from vss_ros.training.computing import answering
from vss_ros.training.hints import common_strides
from vss_ros.training.start import card_at_hand

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from vss_ros.data.classes import ClassTable
    from vss_ros.engine.model_card import ModelCard
    from vss_ros.training.recipe import Recipe


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


def told_of(teacher: ModelCard) -> dict[str, Any]:
    """Return what a pupil's card says of its teacher, which need not be shipped."""
    said = ('command', 'commit', 'hardware', 'wall_minutes')
    told = {key: teacher.recipe[key] for key in said if key in teacher.recipe}
    return {'name': teacher.name, 'sha256': teacher.sha256, **told}


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
