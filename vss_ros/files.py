"""Writes files and folders that are there whole or not at all, however the process ends.

A disk without room is a ``VssError`` that names the file.
"""

from __future__ import annotations

import csv
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import sys
import tempfile
from contextlib import contextmanager, suppress
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vss_ros.errors import VssError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What only writing fails of."""
_PART = '.vss-part'
_ORPHAN = re.compile(rf'\..+\.[a-z0-9_]{{8}}{re.escape(_PART)}')
_cleared: set[Path] = set()


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary file that becomes ``path`` when the block ends well, and is removed otherwise.

    SIGKILL or a power cut at any moment leaves the old file or the new one, and the next process that writes
    into the folder takes the temporary one away. Several processes, also of other machines, may write the
    same file: the last one to finish stays. The file's folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial, lock = _temporary(path.parent, path.name[:16], folder=False)
    try:
        yield partial
        with partial.open('rb+') as file:
            os.fsync(file.fileno())
        partial.chmod(0o644)
        partial.replace(path)
    except OSError as error:
        raise no_room(path, error) from error
    finally:
        partial.unlink(missing_ok=True)
        os.close(lock)


def _temporary(place: Path, name: str, *, folder: bool) -> tuple[Path, int]:
    """Make a hidden file or folder; returns it and a handle that locks it as long as this process lives."""
    _clear(place)
    while True:
        if folder:
            path = tempfile.mkdtemp(prefix=f'.{name}.', suffix=_PART, dir=place)
            lock = os.open(path, os.O_RDONLY)
        else:
            lock, path = tempfile.mkstemp(prefix=f'.{name}.', suffix=_PART, dir=place)
        with suppress(OSError):  # some disks have no locks: what is left there stays
            fcntl.flock(lock, fcntl.LOCK_EX)
        if Path(path).exists():
            return Path(path), lock
        os.close(lock)  # another process took it for an orphan before it was locked


def _clear(place: Path) -> None:
    """Remove what processes that are dead left half in a folder."""
    if place in _cleared:
        return
    _cleared.add(place)
    for path in [Path(entry) for entry in os.scandir(place) if _ORPHAN.fullmatch(entry.name)]:
        with suppress(OSError):
            handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            finally:
                os.close(handle)


def no_room(path: Path, error: OSError) -> Exception:
    """Return what to raise for an error while a file was written: one that names it, or the same."""
    if error.errno not in NO_ROOM:
        return error
    return VssError(f'{path} cannot be written: {error.strerror}; make room there, or choose another place')


@contextmanager
def whole_folder(path: Path, *, keep: bool = False, file: bool = False) -> Iterator[Path]:
    """Yield the place of a folder, still to be made, that becomes ``path`` when the block ends well.

    It has the same name as ``path`` and lies in a temporary folder beside it, which is removed in any case,
    after SIGKILL by the next process that writes there; not with ``keep``, where a half is worth something.
    A folder at ``path`` is replaced, with ``file`` a file, too: whether it may be, the caller checks before.

    Raises:
        VssError: Something else is there, or there is no room.
    """
    path = path.absolute()
    if path.exists() and not path.is_dir() and not (file and path.is_file()):
        raise VssError(f'expected a folder, or a name that is free, got {path}; name another')
    path.parent.mkdir(parents=True, exist_ok=True)
    if keep:
        temporary, lock = Path(tempfile.mkdtemp(prefix=f'.{path.name}.', dir=path.parent)), None
    else:
        temporary, lock = _temporary(path.parent, path.name, folder=True)
    try:
        yield temporary / path.name
        if path.exists():
            path.rename(temporary / '.replaced')
        (temporary / path.name).rename(path)
    except OSError as error:
        raise no_room(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def read_regular(path: Path, largest: int = 2**33, count: int = -1) -> bytes:
    """Return the bytes of a file of at most so many, or the first ``count`` of them.

    Raises:
        OSError: It cannot be read, is larger, or is a folder, a pipe or a device, which may never end.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, 'a folder, pipe or device, expected a file', str(path))
    if found.st_size > largest:
        raise OSError(errno.EINVAL, f'{found.st_size} bytes, expected at most {largest}', str(path))
    with path.open('rb') as file:
        return file.read(count)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; its folder is made. A device or pipe is written to, not replaced."""
    if path.parent == Path('/dev') or (path.exists() and not path.is_file()):
        try:
            # A pipe that nobody reads is an error, not a wait.
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
            os.set_blocking(handle, True)
            with os.fdopen(handle, 'ab') as stream:
                stream.write(data)
        except OSError as error:
            raise no_room(path, error) from error
        return
    with whole_file(path) as partial:
        partial.write_bytes(data)


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write class ids ``(H, W)`` or RGB ``(H, W, 3)`` whole or not at all."""
    import cv2  # only here: most files are none

    write_whole(path, cv2.imencode('.png', pixels if pixels.ndim == 2 else pixels[..., ::-1])[1].tobytes())


def keep_apart(output: Path, *inputs: Path | None) -> None:
    """Refuse to replace a folder that is, holds or lies in what is read.

    Raises:
        VssError: It does.
    """
    target = output.resolve()
    for path in inputs:
        source = path.resolve() if path is not None else None
        if source is not None and (target.is_relative_to(source) or source.is_relative_to(target)):
            raise VssError(f'expected an output beside the input {path}, got {output}; choose another folder')


def write_text(path: Path, text: str) -> None:
    """Write a file as UTF-8, whole or not at all; ``-`` is standard output."""
    if str(path) == '-':
        sys.stdout.write(text)
    else:
        write_whole(path, text.encode(errors='backslashreplace'))  # as JSON, too, has names that are no UTF-8


def write_json(path: Path | None, values: Any, *, indent: int | None = 2, summed: bool = False) -> None:
    """Write a result for machines.

    Args:
        path: The file; ``-`` for standard output; None for nowhere.
        values: Plain values; NaN and infinity, which JSON lacks, become null.
        indent: Spaces a level.
        summed: With a checksum, for ``read_summed``.
    """
    if path is not None:
        write_text(path, _json({'sha256': _checksum(values)} | values if summed else values, indent) + '\n')


def read_summed(path: Path) -> dict[str, Any]:
    """Read what ``write_json`` wrote with a checksum.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not as it was written.
    """
    try:
        values = json.loads(read_regular(path))
        if values.pop('sha256') == _checksum(values):
            return dict(values)
    except (AttributeError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(f'{path.name} with other contents than were written ({error!r})') from error
    raise ValueError(f'{path.name} with other contents than were written')


def _checksum(values: Any) -> str:
    return hashlib.sha256(_json(values, None).encode(errors='backslashreplace')).hexdigest()


def _json(values: Any, indent: int | None) -> str:
    return json.dumps(_plain(values), indent=indent, ensure_ascii=False, allow_nan=False, default=str)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one line a row under a line of names.

    Args:
        path: The file.
        columns: Names in order; what else a row holds is left out.
        rows: Values by name; None, NaN and infinity become an empty field.
    """
    text = StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(columns)
    writer.writerows([_plain(row[name]) for name in columns] for row in rows)
    write_text(path, text.getvalue())


def _plain(value: Any) -> Any:
    """Replace NaN and infinity by None."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value
