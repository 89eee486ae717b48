"""TWNet's own loss: corrected features shall be what the whole network would have computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.functional import mse_loss

if TYPE_CHECKING:
    from torch import Tensor

CONSISTENCY_WEIGHT = 10.0
"""lambda_1 of Eq. 8 (section 5.2.2: best of 0, 1, 10 and 20)."""


def consistency_loss(corrected: Tensor, true: Tensor, lateral_channels: int = 0) -> Tensor:
    """Return the last term of Eq. 8, ``lambda_1 * L_consist``; cross entropy is added by the caller.

    L2 distance as the mean of squared differences over all cells and channels (section 4.3.1 says "L2" and
    "minimize the distance", and gives no norm), so that it does not depend on the size of the image.

    Args:
        corrected: F_t as propagated, ``(N, C, H, W)``.
        true: The same frame's F_h by the whole network; nothing is learned through it.
        lateral_channels: Last channels, left out: they are the current frame's own in both.

    Returns:
        A scalar.

    """
    moved = corrected.shape[1] - lateral_channels
    return CONSISTENCY_WEIGHT * mse_loss(corrected[:, :moved], true[:, :moved].detach())
