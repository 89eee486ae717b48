"""Which weights training begins with, and class weights taken back from what was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from vss_ros.engine.build import new_backbone
from vss_ros.engine.model_card import load_weights, read_card
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.model_card import ModelCard
    from vss_ros.training.recipe import Recipe


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
        msg = (
            f'{type(network).__name__}: expected classify to end in a convolution with a bias for each of '
            f'{len(weights)} classes; set logit_adjustment to 0'
        )
        raise VssError(msg)
    # A sub-pixel head has the cells of one class beside each other.
    offset = share * weights.log().repeat_interleave(len(last.bias) // len(weights))
    with torch.no_grad():
        last.bias -= offset.to(last.bias)


def card_at_hand(name: str, output: Path) -> ModelCard:
    """Return a card that a former recipe wrote to ``output``, else the shipped one, or the one at a path.

    Raises:
        VssError: No such card.

    """
    written = output / f'{name}.yaml'
    return read_card(written if written.is_file() else name)


def start_card(recipe: Recipe, output: Path) -> ModelCard | None:
    """Return the card whose weights a recipe starts with, None without one.

    Args:
        recipe: Its ``start`` is a card in ``output``, else one in ``models/`` or a path.
        output: Where the cards of former recipes were written.

    Raises:
        VssError: No such card, or one of another network.

    """
    if not recipe.start:
        return None
    card = card_at_hand(recipe.start, output)
    if (card.kind, card.builder) != ('backbone', recipe.backbone):
        msg = (
            f'start {card.name}: expected the card of a backbone {recipe.backbone}, got one of a {card.kind} '
            f'{card.builder}; name another, or leave start out'
        )
        raise VssError(msg)
    return card


def start_with(network: Backbone, card: ModelCard, classes: tuple[str, ...], weights: Tensor) -> None:
    """Copy a card's weights into a network.

    What was taken back from its answers is given again, because class weights are what it goes on learning
    with. A classifier of other classes stays as it is.

    Args:
        network: Of the card's kind, with random weights; changed in place.
        card: Of a trained one.
        classes: The network's, in the order of its logits.
        weights: Of the classes in its loss, ``(C,)``.

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
