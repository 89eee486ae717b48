"""A device that is none: its tensors compute on the CPU, but to mix them with others is an error, as on CUDA.

So that a machine without a GPU finds a tensor that was left on the CPU. It says nothing of CUDA's kernels.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self
from unittest import mock

import torch
import torch._dynamo  # what layers import when they are built, before torch.Generator is replaced below
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

if TYPE_CHECKING:
    from collections.abc import Iterator

DEVICE = torch.device('meta')
"""What the tensors say they lie on: the only device beside the CPU that autograd knows in every PyTorch."""
COPY, TO = torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default
"""What leads from one device to another."""


class Elsewhere(torch.Tensor):
    """A tensor that says it lies on ``DEVICE``."""

    on_cpu: torch.Tensor

    @staticmethod
    def __new__(cls: type[Self], on_cpu: torch.Tensor) -> Self:
        """Wrap a tensor of the CPU."""
        made: Self = torch.Tensor._make_wrapper_subclass(
            cls, on_cpu.shape, strides=on_cpu.stride(), dtype=on_cpu.dtype, device=DEVICE
        )
        made.on_cpu = on_cpu
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Compute."""
        return _computed(func, args, kwargs or {})

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Be saved as what ``torch.load`` shall map to the CPU anyway."""
        return self.on_cpu.__reduce_ex__(protocol)


class _Creation(TorchDispatchMode):
    """Catches what makes a tensor on the device out of none that lies there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


class _Values(TorchFunctionMode):
    """``torch.tensor`` alone does not reach the dispatcher."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.tensor and kwargs.get('device') is not None:
            return func(*args, **kwargs | {'device': None}).to(kwargs['device'])
        return func(*args, **kwargs)


def _computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Compute on the CPU; what comes out lies where the arguments do, or where it is asked to."""
    leaves = tree_flatten((args, kwargs))[0]
    tensors = [value for value in leaves if isinstance(value, torch.Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, Elsewhere)]
    strangers = [tensor for tensor in tensors if not isinstance(tensor, Elsewhere) and tensor.dim()]
    if there and strangers and func not in (COPY, TO):
        raise RuntimeError(f'{func}: expected all tensors on one device, got {len(strangers)} on the CPU')
    wanted = [value for value in leaves if isinstance(value, torch.device)]
    if func is COPY:
        leaving = isinstance(args[0], Elsewhere)
    else:
        leaving = wanted == [DEVICE] if wanted else bool(there)
    known = {id(tensor.on_cpu): tensor for tensor in there}

    def unwrapped(value: Any) -> Any:
        if isinstance(value, torch.device):
            return torch.device('cpu')
        return value.on_cpu if isinstance(value, Elsewhere) else value

    def wrapped(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or not leaving:
            return value
        return known[id(value)] if id(value) in known else Elsewhere(value)

    return tree_map(wrapped, func(*tree_map(unwrapped, args), **tree_map(unwrapped, kwargs)))


@contextmanager
def pretend_device() -> Iterator[torch.device]:
    """Yield the device, there while the context lasts."""
    on_cpu = torch.Generator

    def generator(_: Any = None) -> torch.Generator:
        """Return one of the CPU: the device has none of its own."""
        return on_cpu()

    with mock.patch.object(torch, 'Generator', generator), _Values(), _Creation():  # type: ignore[no-untyped-call]
        yield DEVICE
