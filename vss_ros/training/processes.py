"""Several processes that train one network, as torchrun starts them: each takes its part of every batch.

Each computes gradients of its part, all take a step by their mean, and stay equal. Process 0 alone measures,
writes and shows progress. Batch norms see a process's own part, as in PyTorch's DistributedDataParallel.
Where torchrun started nothing, there is one process, and nothing here does anything.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import distributed

from vss_ros.errors import VssError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from torch import nn

T = TypeVar('T')
LONGEST = timedelta(hours=6)
"""For which the others wait while process 0 measures."""


@contextmanager
def joined(device: str) -> Iterator[str]:
    """Work with the processes that torchrun started beside this one, if it did; yields the device to use.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` (each process takes a GPU of its own) or ``cuda:N`` (one process).

    Raises:
        VssError: One GPU for several processes.
    """
    if int(os.environ.get('WORLD_SIZE', '1')) == 1:
        yield device
        return
    if device.startswith('cuda:'):
        raise VssError(
            f'device {device}: expected cuda, of which each process takes its own; use that or auto'
        )
    on_gpu = device != 'cpu' and torch.cuda.is_available()
    if on_gpu:
        device = f'cuda:{os.environ["LOCAL_RANK"]}'
        torch.cuda.set_device(device)
    distributed.init_process_group('nccl' if on_gpu else 'gloo', timeout=LONGEST)
    try:
        yield device
    finally:
        distributed.destroy_process_group()


def count() -> int:
    """Return how many processes train."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def number() -> int:
    """Return which of them this is, counted from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def part_of(batch: Sequence[T]) -> Sequence[T]:
    """Return what this process has to do of a batch."""
    return batch[number() :: count()]


def own_generator(generator: np.random.Generator) -> np.random.Generator:
    """Return a generator of this process's own, made of one that is the same in all."""
    return generator if count() == 1 else generator.spawn(count())[number()]


def average_gradients(module: nn.Module) -> None:
    """Give each parameter the mean of its gradients in all processes."""
    if count() == 1:
        return
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in parameters:
        if parameter.grad is None:  # a branch that this process's part did not take
            parameter.grad = torch.zeros_like(parameter)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    mean = torch.cat([gradient.reshape(-1) for gradient in gradients])
    distributed.all_reduce(mean)
    mean /= count()
    for gradient, part in zip(gradients, mean.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view(gradient.shape))


def wait_for_all() -> None:
    """Return when all processes have come here."""
    if count() > 1:
        distributed.barrier()
