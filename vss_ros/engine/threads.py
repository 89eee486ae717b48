"""How many CPU threads a track may have."""

from __future__ import annotations

import os

import cv2
import torch


def use_threads(number: int, *, background: bool) -> None:
    """Set the number of threads that PyTorch, OpenCV and networks opened from now on compute with.

    Args:
        number: Threads per track, 0 for ``default_threads``.
        background: Whether a slow track runs beside the fast one.

    """
    threads = number or default_threads(background=background)
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)


def default_threads(*, background: bool) -> int:
    """Return CPU threads per track: a slow track in the background and the middleware need cores too."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    return max(cores // 2 if background else cores - 1, 1)
