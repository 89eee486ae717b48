"""Class weights steer what a network learns, not what it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from vss_ros.errors import VssError

if TYPE_CHECKING:
    from torch import Tensor

    from vss_ros.engine.backbones import Backbone


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
