"""What verbs share: the --json option, help with examples, files written whole."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--json FILE``, the same for every verb."""
    parser.add_argument(
        '--json', type=Path, metavar='FILE', help='also write the result as JSON ("-": to stdout)'
    )


def write_json(path: Path | None, result: Any) -> None:
    """Write a result for machines.

    Args:
        path: File, appearing once it is whole; ``-`` for standard output; None for nowhere.
        result: Plain values; NaN becomes null, which JSON has.
    """
    if path is not None:
        write_text(path, json.dumps(_plain(result), indent=2, ensure_ascii=False, default=str) + '\n')


def write_text(path: Path, text: str) -> None:
    """Write a file that appears once it is whole; ``-`` is standard output."""
    if str(path) == '-':
        sys.stdout.write(text)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        partial.write_text(text, encoding='utf-8')
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """Replace NaN and infinity, which JSON lacks, by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value
