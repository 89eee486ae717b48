"""Writes files and folders that are there whole or not at all, however the process ends."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary file that becomes ``path`` when the block ends well, and is removed otherwise.

    SIGKILL or a power cut at any moment leaves the old file or the new one. Several processes, also of
    other machines, may write the same file: the last one to finish stays. The file's folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f'.{path.name[:16]}.', suffix='.part', dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        with partial.open('rb+') as file:
            os.fsync(file.fileno())
        partial.chmod(0o644)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield the place of a folder, still to be made, that becomes ``path`` when the block ends well.

    It has the same name as ``path`` and lies in a temporary folder beside it, which is removed in any case.
    What is at ``path`` is replaced: whether it may be, the caller checks before.
    """
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f'.{path.name}.', dir=path.parent))
    try:
        yield temporary / path.name
        if path.exists():
            path.rename(temporary / '.replaced')
        (temporary / path.name).rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; its folder is made."""
    with whole_file(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a file as UTF-8, whole or not at all; ``-`` is standard output."""
    if str(path) == '-':
        sys.stdout.write(text)
    else:
        write_whole(path, text.encode())


def write_json(path: Path | None, values: Any, *, indent: int = 2) -> None:
    """Write a result for machines.

    Args:
        path: The file; ``-`` for standard output; None for nowhere.
        values: Plain values; NaN and infinity, which JSON lacks, become null.
        indent: Spaces a level.
    """
    if path is not None:
        text = json.dumps(_plain(values), indent=indent, ensure_ascii=False, allow_nan=False, default=str)
        write_text(path, f'{text}\n')


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
