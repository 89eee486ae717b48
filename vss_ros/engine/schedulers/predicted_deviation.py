"""The low-latency paper's scheduler: predict how much the labels have changed (section 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss

from vss_ros.engine.layers.blocks import conv_relu
from vss_ros.engine.schedulers.base import SCHEDULERS, Scheduler

if TYPE_CHECKING:
    from vss_ros.engine.pair_batch import PairBatch
    from vss_ros.engine.view import View

WIDTH = 32
"""Channels; the paper's 256 beside ResNet-101's 1024 low channels, scaled to slim backbones."""


@SCHEDULERS.register('predicted_deviation', paper='Li et al. 2018, Low-Latency Video Semantic Segmentation')
class PredictedDeviation(Scheduler):
    """Predicts the share of pixels whose label differs from the key frame's.

    One shared 3x3 convolution on either F_l, their difference, a 3x3 convolution, global average pooling
    and a fully connected layer (section 4). The difference enters with its absolute value: which frame
    came first does not matter to how many labels differ. A sigmoid keeps the answer a share.
    """

    needs_low = True
    trainable = True
    default_threshold = 0.12

    def __init__(self, low_channels: int, **options: float) -> None:
        super().__init__(low_channels, **options)  # type: ignore[arg-type]
        self.reduce = nn.Conv2d(low_channels, WIDTH, 3, 1, 1)
        self.compare = conv_relu(WIDTH, WIDTH)
        self.regress = nn.Linear(WIDTH, 1)

    def prepare(self, view: View) -> Tensor:
        """Return the reduced F_l, ``(N, WIDTH, H, W)``."""
        return self.reduce(view.low)  # type: ignore[no-any-return]

    def forward(self, key_low: Tensor, low: Tensor) -> Tensor:
        """Return predicted deviations ``(N,)`` in 0..1 of two batches of F_l."""
        return self._compare(self.reduce(key_low), self.reduce(low))

    def measure(self, key: Tensor | None, current: Tensor | None, view: View) -> Tensor:  # noqa: ARG002
        """Return the predicted deviation, 0..1."""
        assert key is not None and current is not None  # noqa: PT018 (prepare() never returns None here)
        return self._compare(key, current)

    def training_loss(self, batch: PairBatch) -> Tensor:
        """Return the regression loss of the predicted deviation (section 3.2).

        Of square roots, so that relative errors count: a deviation of 2 % taken for 4 % delays or wastes as
        much as 10 % taken for 20 %.
        """
        predicted = self(batch.key.low, batch.current.low)
        return smooth_l1_loss(predicted.sqrt(), batch.deviation().sqrt(), beta=0.05)

    def _compare(self, key: Tensor, current: Tensor) -> Tensor:
        pooled = self.compare((current - key).abs()).mean((2, 3))
        return torch.sigmoid(self.regress(pooled)).squeeze(1)
