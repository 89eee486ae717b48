"""Memory between batches."""

from __future__ import annotations

import ctypes
import platform

M_MMAP_MAX, M_TRIM_THRESHOLD = -4, -1
"""Of glibc's malloc.h."""
NEVER = -1


def keep_freed_memory() -> bool:
    """Let the C library keep what a batch's tensors free for the next batch's.

    By default it maps large blocks one by one and gives each back when it is freed, so that the kernel clears
    every page anew in every step. The price is that the process stays as large as its largest batch made it.

    Returns:
        Whether this C library (glibc) can.

    """
    if platform.libc_ver()[0] != 'glibc':
        return False
    library = ctypes.CDLL(None)
    return bool(library.mallopt(M_MMAP_MAX, 0) and library.mallopt(M_TRIM_THRESHOLD, NEVER))
