"""Rows as CSV, written whole."""

from __future__ import annotations

import csv
from io import StringIO
from math import isfinite
from typing import TYPE_CHECKING, Any

from vss_ros.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path


def write_rows(names: Sequence[str], rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write one line per row under a line of names.

    Args:
        names: The columns in order.
        rows: By name, whatever else they hold is left out; None, NaN and infinity become an empty field.
        path: The file, which appears once it is whole.
    """
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows([_field(row[name]) for name in names] for row in rows)
    write_whole(path, text.getvalue().encode())


def _field(value: Any) -> Any:
    return '' if value is None or (isinstance(value, float) and not isfinite(value)) else value
