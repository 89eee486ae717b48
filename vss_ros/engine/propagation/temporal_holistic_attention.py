"""Temporal holistic attention: the key frame's features, weighted by how well each cell is found again."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from vss_ros.engine.layers.blocks import resize_like, zeroed
from vss_ros.engine.propagation.base import PROPAGATIONS, Propagation, Switch

if TYPE_CHECKING:
    from vss_ros.engine.propagation.base import Shapes
    from vss_ros.engine.view import View

REDUCTION = 32
"""C / C' of section 3.3."""
NARROWEST = 4
"""Fewest channels that cells are compared in: the paper's 128 / 32."""
START = 3.0
"""What the sigmoid sees before training: an attention of 0.95."""
BLOCK = 64
"""Key cells whose scores are held at a time; a CPU is fastest with these, as they stay in its cache."""


@PROPAGATIONS.register(
    'temporal_holistic_attention', paper='Wu et al. 2020, Feature Propagation with Holistic Attention'
)
class TemporalHolisticAttention(Propagation):
    """Key frame's F_h weighted by a holistic attention map, plus the current frame's F_l.

    Sections 3.3 and 3.4: a 1x1 convolution, one for both frames, narrows F_l to a 32nd; all pairs of key and
    current cells are multiplied (Eq. 1), pooled over the key's cells by maximum and mean, and a 5x5
    convolution and a sigmoid make W_a of it (Eq. 2). F_h(t) = W_a * F_h(key) (Eq. 3), F(t) = F_l(t) +
    F_h(t) (Eq. 4). The paper says that the sigmoid limits W_a to [-1, 1]; it is (0, 1).

    Decided here, where the paper has LERNet only and trains it along (section 4.2):

    - F_l passes a 1x1 adapter before it is added, since other backbones have F_l and F_h of unequal
      channels, and since the head of a frozen backbone has never seen F_l. Where channels agree, the
      adapter starts as the identity, which is Eq. 4 as written; elsewhere it starts at zero. The attention
      starts at 0.95 everywhere. So an untrained module on such a backbone is close to ``reuse``.
    - The sum passes a ReLU, since heads were trained on features that had one. LERNet's F_l and F_h are
      never negative, so that there it changes nothing before training.
    - Where strides differ, cells are compared at F_l's, and W_a and the adapted F_l brought to F_h's.
    - Lateral channels, the same values in F_l and F_h, are the current frame's own.
    """

    switches: ClassVar = {'THA: W_a = 1': Switch('attend', (inf,))}

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        moved = shapes.high_channels - shapes.lateral_channels
        narrow = max(shapes.low_channels // REDUCTION, NARROWEST)
        self.reduce = nn.Conv2d(shapes.low_channels, narrow, 1)
        self.attend = zeroed(nn.Conv2d(2, 1, 5, 1, 2))
        self.adapt = zeroed(nn.Conv2d(shapes.low_channels, moved, 1))
        nn.init.constant_(self.attend.bias, START)  # type: ignore[arg-type]
        if shapes.low_channels == shapes.high_channels:
            nn.init.dirac_(self.adapt.weight)

    def prepare(self, view: View) -> Tensor:
        """Return the narrowed F_l ``(N, max(low_channels / 32, 4), H, W)`` at its own stride."""
        return self.reduce(view.low)  # type: ignore[no-any-return]

    def attention(self, key: Tensor, current: Tensor) -> Tensor:
        """Return W_a ``(N, 1, H, W)`` of two prepared frames (Eqs. 1, 2)."""
        return self.attend(pooled_correlations(key, current)).sigmoid()  # type: ignore[no-any-return]

    def propagate(self, source: Tensor, source_high: Tensor, current: Tensor, view: View) -> Tensor:
        """Return F(t), ``(N, high_channels, H, W)``."""
        moved = self.adapt.out_channels
        weights = resize_like(self.attention(source, current), source_high)
        low = resize_like(self.adapt(view.low), source_high)
        features = low.addcmul(weights, source_high[:, :moved]).relu_()
        if not self.shapes.lateral_channels:
            return features
        return torch.cat((features, view.low[:, -self.shapes.lateral_channels :]), 1)


def pooled_correlations(key: Tensor, current: Tensor, block: int = BLOCK) -> Tensor:
    """Return max and mean of A over the key's cells (holistic attention paper, Eqs. 1 and 2).

    ``A[i, j]`` is the dot product of key cell i and current cell j. With N cells a frame the table has
    N x N entries, 67 million for the paper's 64 x 128 cells; at no time more than ``block`` x N of them
    exist here, forward or backward. The mean is linear, so it is the product with the mean key cell; the
    maximum runs over blocks of key cells. Its gradient goes to the pair that attained it. The operations
    are still those of all pairs, ``2 C N^2``: 0.5 G for the paper, 137 G for N of a large image at stride 4.

    Args:
        key: ``(N, C, h, w)`` float.
        current: ``(N, C, H, W)`` float; the answer is ``(N, 2, H, W)``, maximum, then mean.
        block: Key cells a block, 1 or more.
    """
    keys, cells = key.flatten(2), current.flatten(2)
    mean = (keys.mean(2, keepdim=True) * cells).sum(1)
    if torch.is_grad_enabled():
        best = _strongest(keys.detach(), cells.detach(), block)
        matched = keys.gather(2, best.unsqueeze(1).expand(-1, keys.shape[1], -1))
        highest = (matched * cells).sum(1)
    else:
        highest = _highest(keys, cells, block)
    pooled: Tensor = torch.stack((highest, mean), 1).unflatten(2, current.shape[-2:])
    return pooled


def _highest(keys: Tensor, cells: Tensor, block: int) -> Tensor:
    """Return the maximum of every current cell over all keys, ``(N, HW)``."""
    parts = [part.transpose(1, 2) for part in keys.split(block, 2)]
    highest: Tensor = torch.matmul(parts[0], cells).amax(1)
    for part in parts[1:]:
        highest = torch.maximum(highest, torch.matmul(part, cells).amax(1))
    return highest


def _strongest(keys: Tensor, cells: Tensor, block: int) -> Tensor:
    """Return which key cell every current cell answers to most, ``(N, HW)`` int64."""
    highest = cells.new_full((cells.shape[0], cells.shape[2]), -torch.inf)
    best = torch.zeros_like(highest, dtype=torch.int64)
    for number, part in enumerate(keys.split(block, 2)):
        value, index = torch.matmul(part.transpose(1, 2), cells).max(1)
        higher = value > highest
        best = torch.where(higher, index + number * block, best)
        highest = torch.where(higher, value, highest)
    return best
