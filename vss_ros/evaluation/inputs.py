"""What users name, as the list of inputs to evaluate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vss_ros.data.bags import is_bag
from vss_ros.data.sources import VIDEO_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def expand(paths: Iterable[Path]) -> list[Path]:
    """Return the inputs, each once: a folder of bags or videos stands for all of them, in order of names.

    What does not exist stays in the list: its evaluation says so, and those of the others go on.
    """
    found: dict[Path, None] = {}
    for path in paths:
        found.update(dict.fromkeys(_recordings(path) or [path]))
    return list(found)


def _recordings(path: Path) -> list[Path]:
    """Return the bags and videos right in a folder; none where it is a bag itself."""
    if not path.is_dir() or is_bag(path):
        return []
    return [
        child
        for child in sorted(path.iterdir())
        if not child.name.startswith('.') and (is_bag(child) or child.suffix.lower() in VIDEO_SUFFIXES)
    ]
