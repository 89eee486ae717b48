"""Where networks run, and with how many CPU threads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import cv2
import torch

from vss_ros.errors import VssError

if TYPE_CHECKING:
    from torch import nn

CPU = torch.device('cpu')
META = torch.device('meta')
"""Tensors there have shapes and no values."""


def choose_device(name: str) -> torch.device:
    """Return the device for ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; raise a ``VssError`` for others."""
    if name == 'auto':
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    if name.startswith('cuda') and not torch.cuda.is_available():
        raise VssError(
            f'device {name!r}: this PyTorch ({torch.__version__}) sees no CUDA device; use cpu or auto'
        )
    kind, _, number = name.partition(':')
    if kind not in ('cpu', 'cuda') or (number and not number.isdecimal()):
        raise VssError(f'device {name!r}: expected auto, cpu, cuda or cuda:N')
    if kind == 'cuda' and int(number or 0) >= torch.cuda.device_count():
        raise VssError(f'device {name!r}: there are {torch.cuda.device_count()} CUDA devices, counted from 0')
    return torch.device(name)


def device_of(module: nn.Module) -> torch.device:
    """Return where a module's weights lie, the CPU where it has none: what it is given has to lie there."""
    return next((parameter.device for parameter in module.parameters()), CPU)


def use_threads(number: int, *, background: bool) -> None:
    """Set threads per track of PyTorch, OpenCV and networks opened from now on; 0: ``default_threads``."""
    threads = number or default_threads(background=background)
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)


def default_threads(*, background: bool) -> int:
    """Return CPU threads per track: a slow track in the background and the middleware need cores too."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    return max(cores // 2 if background else cores - 1, 1)
