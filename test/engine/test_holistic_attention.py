"""The blocked reduction against the full table of pairs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from vss_ros.engine.propagation.temporal_holistic_attention import pooled_correlations


def full(key: Tensor, current: Tensor) -> Tensor:
    """Return what the paper writes: the N x N table, pooled over the key's cells."""
    table = key.flatten(2).transpose(1, 2) @ current.flatten(2)
    pooled: Tensor = torch.stack((table.amax(1), table.mean(1)), 1).unflatten(2, current.shape[-2:])
    return pooled


class Largest(TorchDispatchMode):
    """Remembers the largest tensor that any operation makes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        made = [out] if isinstance(out, Tensor) else out if isinstance(out, (list, tuple)) else []
        self.numel = max([self.numel, *(t.numel() for t in made if isinstance(t, Tensor))])
        return out


def pair(height: int, width: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    key, current = (torch.randn(2, 4, height, width, dtype=torch.double) for _ in range(2))
    return key.requires_grad_(), current.requires_grad_()


@pytest.mark.parametrize('block', [1, 7, 16, 63, 100])
def test_equals_the_full_table(block: int) -> None:
    key, current = pair(7, 9)
    expected = full(key, current)
    assert torch.allclose(pooled_correlations(key, current, block), expected, atol=1e-12)
    with torch.no_grad():
        assert torch.allclose(pooled_correlations(key, current, block), expected, atol=1e-12)


def test_gradients_equal_the_full_tables() -> None:
    key, current = pair(7, 9)
    weights = torch.randn(2, 2, 7, 9, dtype=torch.double)
    expected = torch.autograd.grad((full(key, current) * weights).sum(), (key, current))
    got = torch.autograd.grad((pooled_correlations(key, current, 16) * weights).sum(), (key, current))
    for one, other in zip(got, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-12)


@pytest.mark.parametrize('training', [True, False])
def test_nothing_is_larger_than_a_block_of_scores(training: bool) -> None:
    key, current = pair(20, 30)
    with torch.set_grad_enabled(training), Largest() as largest:
        pooled = pooled_correlations(key, current, 16)
        if training:
            pooled.sum().backward()
    assert largest.numel == 2 * 16 * 600


def test_the_other_frame_may_have_another_size() -> None:
    key, current = pair(7, 9)
    assert pooled_correlations(key[..., :5, :3], current, 4).shape == (2, 2, 7, 9)
