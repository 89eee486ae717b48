"""What each system adds to plain propagation, switched off: what is its own correction worth?"""

from __future__ import annotations

from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING, NamedTuple

import torch

from vss_ros.engine.propagation.guided_filter import SIDE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from vss_ros.engine.propagation import Propagation


class Switch(NamedTuple):
    """A correction, and the answer of one of its modules that takes it away."""

    correction: str
    module: str
    """Attribute of the propagation."""
    answer: tuple[float, ...]
    """What the module answers instead: one value for all channels, or one for each."""


_ATTENTION = (Switch('THA: W_a = 1', 'attend', (inf,)),)
_ZERO_SHIFT = tuple(float(i == SIDE * SIDE // 2) for i in range(SIDE * SIDE + 1))

SWITCHES: dict[str, tuple[Switch, ...]] = {
    'distortion_aware': (Switch('distortion map: M = 0', 'distortion', (0.0,)),),
    'guided_filter': (Switch('guided filter: zero shift', 'guide', _ZERO_SHIFT),),
    'refined_warping': (Switch('context of the refinement = 0', 'context', (0.0,)),),
    'spatially_variant_conv': (Switch("fusion: AdaptNet's features = 0", 'adapt', (0.0,)),),
    'tamed_warping': (
        Switch('CFR: residual = 0', 'rectify', (0.0,)),
        Switch('RGA: A = 1', 'attend', (inf,)),
    ),
    'temporal_holistic_attention': _ATTENTION,
    'warped_holistic_attention': _ATTENTION,
}
"""By propagation; ``inf`` goes through the sigmoid that follows and becomes 1."""


@contextmanager
def switched_off(propagation: Propagation, switch: Switch) -> Iterator[Propagation]:
    """Take a correction out of a trained propagation while the block runs.

    Args:
        propagation: Of the class that the switch belongs to.
        switch: From ``SWITCHES``.

    Yields:
        The same propagation.

    """

    def answer(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Return the switch's answer in place of the module's, of the same shape."""
        values = torch.tensor(switch.answer, dtype=output.dtype, device=output.device)
        return values[:, None, None].expand_as(output)

    handle = propagation.get_submodule(switch.module).register_forward_hook(answer)
    try:
        yield propagation
    finally:
        handle.remove()
