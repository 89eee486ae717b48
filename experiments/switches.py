"""What each system adds to plain propagation, turned off: what is its own correction worth?"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from vss_ros.engine.propagation import Propagation


@contextmanager
def switched_off(propagation: Propagation, correction: str) -> Iterator[Propagation]:
    """Take a correction out of a trained propagation while the block runs.

    Args:
        propagation: Changed until the block ends.
        correction: One of its ``switches``.

    Yields:
        The same propagation.

    """
    switch = propagation.switches[correction]

    def constant(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Return the switch's output in place of the module's, of the same shape."""
        values = torch.tensor(switch.output, dtype=output.dtype, device=output.device)
        return values[:, None, None].expand_as(output)

    handle = propagation.get_submodule(switch.module).register_forward_hook(constant)
    try:
        yield propagation
    finally:
        handle.remove()
