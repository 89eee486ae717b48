"""An exponential moving average of weights, which is what gets shipped."""

from __future__ import annotations

from copy import deepcopy
from typing import Generic, TypeVar

import torch
from torch import nn

M = TypeVar('M', bound=nn.Module)


class MovingAverage(Generic[M]):
    """Keeps an averaged copy of a model.

    Args:
        model: What is trained.
        decay: Weight of the past per update, reached gradually so that the start is soon forgotten.

    """

    def __init__(self, model: M, decay: float = 0.998) -> None:
        """Start from the model as it is."""
        self.model = deepcopy(model).eval()
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, model: M) -> None:
        """Move the average towards ``model``; integer buffers are copied."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for mine, theirs in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1 - decay)
            else:
                mine.copy_(theirs)
