"""Give back the shared memory of killed processes: with the profile for large images 67 MB each.

Fast DDS keeps a segment ``fastdds_ID`` (``fastrtps_ID`` before version 3) per process in /dev/shm, and a file
``…_el`` beside it that the process holds locked as long as it lives. What is not locked has no owner.
"""

from __future__ import annotations

import fcntl
import re
import time
from contextlib import suppress
from pathlib import Path

FOLDER = Path('/dev/shm')
SETTLED_S = 10.0
"""A younger segment's process may be about to lock it."""
_LOCK = re.compile('fast(dds|rtps)_[0-9a-f]{16}_el')


def remove_orphans(folder: Path = FOLDER) -> tuple[int, int]:
    """Remove the segments that no process holds; return how many, and their bytes."""
    number = size = 0
    for lock in folder.iterdir() if folder.is_dir() else ():
        # Another user's stays, or went away just now.
        with suppress(OSError):
            if not _LOCK.fullmatch(lock.name) or time.time() - lock.stat().st_mtime < SETTLED_S:
                continue
            segment = lock.with_name(lock.name.removesuffix('_el'))
            with lock.open('rb') as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: its process lives
                bytes_held = segment.stat().st_size if segment.exists() else 0
                segment.unlink(missing_ok=True)
                lock.unlink()
            number, size = number + 1, size + bytes_held
    return number, size
