"""What one start found out, kept in the user's cache for the next: graphs, and which precision is fastest.

Nothing rests on it. A file that is missing, damaged or not the user's own is as if it had never been; files
are written whole, so that nodes may start at the same time.
"""

from __future__ import annotations

import hashlib
import os
import platform
import time
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vss_ros.errors import VssError
from vss_ros.files import read_regular, write_whole

MOST_FILES = 48
"""More are not kept: those that were written first go. A graph has about 4 MB."""
OLDEST_S = 30 * 86400.0
"""Seconds after which it is found out anew: drivers, governors and neighbours change, too."""
_DIGEST = hashlib.sha256().digest_size


def folder() -> Path:
    """Return where it lies: ``vss_ros`` in ``$XDG_CACHE_HOME``, or in ``~/.cache``."""
    root = os.environ.get('XDG_CACHE_HOME', '')
    return (Path(root) if Path(root).is_absolute() else Path.home() / '.cache') / 'vss_ros'


def kept(*key: object) -> bytes | None:
    """Return what was kept under a key on this machine, by these versions; None where nothing was."""
    with suppress(OSError, RuntimeError):  # RuntimeError: a user without a home
        path = _path(key)
        found = path.stat()
        if found.st_uid != os.getuid() or not 0 <= time.time() - found.st_mtime < OLDEST_S:
            return None  # a graph is loaded as it is, so not from a stranger
        data = read_regular(path)
        if hashlib.sha256(data[_DIGEST:]).digest() == data[:_DIGEST]:
            return data[_DIGEST:]
    return None


def keep(data: bytes, *key: object) -> None:
    """Keep bytes under a key; where that cannot be, do nothing."""
    with suppress(OSError, RuntimeError, VssError):
        path = _path(key)
        write_whole(path, hashlib.sha256(data).digest() + data)
        files = sorted(path.parent.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[MOST_FILES:]:
            file.unlink()


def _path(key: tuple[object, ...]) -> Path:
    return folder() / hashlib.sha256(repr((key, _here())).encode()).hexdigest()[:32]


@cache
def _here() -> tuple[object, ...]:
    """Return the processor and the versions, on which everything that is kept depends."""
    versions = []
    for package in ('vss_ros', 'openvino'):
        with suppress(PackageNotFoundError):
            versions.append((package, version(package)))
    processor = ''
    with suppress(OSError):
        lines = Path('/proc/cpuinfo').read_text(encoding='utf-8', errors='replace').split('\n\n')[0]
        wanted = ('model name', 'cpu family', 'model\t', 'stepping', 'flags', 'Features', 'CPU ')
        processor = '\n'.join(line for line in lines.splitlines() if line.startswith(wanted))
    return (*versions, platform.machine(), processor, os.cpu_count())
