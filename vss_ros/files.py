"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears under its name once all of it is on disk; its folder is made.

    Whatever stops the process in between, SIGKILL or a power cut, leaves the old file or the new one. Several
    processes, also of other machines, may write the same file: the last one whole stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f'.{path.name[:16]}.', suffix='.part', dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.chmod(0o644)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
