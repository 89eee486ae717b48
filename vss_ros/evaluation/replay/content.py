"""What an evaluation depends on, as hashes: the input's bytes, the weights and the code."""

from __future__ import annotations

import ast
import hashlib
import json
import os
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vss_ros.engine.build import outline_segmenter, part_card_name, propagation_name
from vss_ros.engine.model_card import has_card, read_card
from vss_ros.engine.motion import MOTIONS
from vss_ros.images.classes import load_classes
from vss_ros.resources import resource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vss_ros.engine.options import SegmenterConfig

CHUNK = 1 << 22
PACKAGE = Path(__file__).resolve().parents[2]
ENTRY = PACKAGE / 'evaluation' / 'replay' / 'evaluate_bag.py'
"""What this module imports decides a result, and so do the members of ``BY_NAME``."""
BY_NAME = (PACKAGE / 'engine', PACKAGE / 'evaluation' / 'metrics')
"""Folders whose members register themselves, so that no import names them."""
LIVE = (PACKAGE / 'live' / 'jobs.py', PACKAGE / 'live' / 'player.py', PACKAGE / 'node' / 'main.py')
"""Of a live run also what these import: what scores it, and the two processes that it starts."""
ABOUT_CARDS = ('path', 'recipe', 'scores')
"""Entries of a model card that say where it comes from, not what it does."""
FileStates = tuple[tuple[str, int, int], ...]
"""Path, size in bytes and time of change in nanoseconds of each file."""


def file_states(paths: Iterable[Path]) -> FileStates:
    """List the files at or below some paths, in order, with what tells whether they have changed."""
    files = []
    for path in (path for path in paths if path.exists()):
        below = [path] if path.is_file() else sorted(file for file in path.rglob('*') if file.is_file())
        files += [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in below]
    return tuple(files)


@lru_cache(maxsize=1024)
def content_digest(files: FileStates) -> str:
    """Return the SHA-256 over the bytes and last names of files; 64 hexadecimal digits.

    Computed once for files that stay as they are.
    """
    digest = hashlib.sha256()
    for name, size, _ in files:
        digest.update(os.fsencode(f'{Path(name).name}\0{size}\0'))
        with Path(name).open('rb') as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def weights_digest(config: SegmenterConfig) -> str:
    """Return the SHA-256 over all cards a segmenter is built from, and so over its weights and classes.

    Raises:
        VssError: It cannot be built.
    """
    card, parts = outline_segmenter(config)
    members = (propagation_name(config, card), config.scheduler)
    names = [part_card_name(card, member, parts.backbone) for member in members]
    names += [member.name for member in MOTIONS if type(parts.motion) is member.cls]
    cards = [card, *(read_card(name) for name in names if has_card(name))]
    values = [{key: v for key, v in card if key not in ABOUT_CARDS} for card in cards]
    table = load_classes(card.classes)
    return _digest([values, table.names, table.void_id])


@cache
def code_digest(*, live: bool = False) -> str:
    """Return the SHA-256 over the code that decides a result; reports and the like are not among it.

    Args:
        live: Whether the real node gives it, whose file of parameters then counts too.
    """
    files = sorted(code_files(live=live))
    return content_digest(file_states([*files, resource('config', 'segment.yaml')] if live else files))


def code_files(*, live: bool = False) -> set[Path]:
    """Return the files that decide a result, of a live run those of node and player as well."""
    by_name = (file for folder in BY_NAME for file in folder.rglob('*.py'))
    files = {ENTRY, *by_name, *(LIVE if live else ())}
    unread = list(files)
    while unread:
        found = _imported(unread.pop()) - files
        files |= found
        unread += found
    return files


def _imported(file: Path) -> set[Path]:
    """Return the files of this package that one of them imports anywhere."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f'{node.module}.{alias.name}' for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    inside = [name.split('.')[1:] for name in names if name.startswith(f'{PACKAGE.name}.')]
    places = [PACKAGE.joinpath(*parts) for parts in inside]
    candidates = [path for place in places for path in (place.with_suffix('.py'), place / '__init__.py')]
    return {path for path in candidates if path.is_file()}


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
