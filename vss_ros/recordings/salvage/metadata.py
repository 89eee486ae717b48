"""A bag folder's metadata.yaml, read without trusting it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

import yaml

from vss_ros.errors import VssError
from vss_ros.recordings.salvage.compression import DamageError
from vss_ros.recordings.salvage.summary import Channel

if TYPE_CHECKING:
    from pathlib import Path

METADATA: Final = 'metadata.yaml'
STORAGE_SUFFIXES: Final = ('.mcap', '.db3')
COMPRESSED: Final = '.zstd'
"""Suffix that a recorder adds to files that it compressed as a whole."""
_SIDECARS: Final = ('-wal', '-shm', '-journal')
_LIMIT: Final = 16 * 2**20
"""Most bytes of a metadata.yaml: a thousand topics take one megabyte."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Knows plain data only, and no merging of mappings, which a few lines can make grow without end."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leave ``<<`` a key of its own, which has no constructor."""


@dataclass(frozen=True)
class Metadata:
    """What a folder says of its files."""

    files: tuple[str, ...]
    """Names within the folder, in order."""
    counts: dict[Channel, int]
    """Messages by topic."""
    start_ns: int
    duration_ns: int


def read_metadata(folder: Path) -> Metadata:
    """Read a folder's metadata.yaml.

    Raises:
        VssError: It names files outside of the folder.
        DamageError: It is missing, too large or does not read.
    """
    path = folder / METADATA
    try:
        if path.stat().st_size > _LIMIT:
            raise DamageError(f'{METADATA} has more than {_LIMIT} bytes')
        content = yaml.load(path.read_bytes(), _Loader)['rosbag2_bagfile_information']
        names = [_text(name) for name in content['relative_file_paths']]
        named = [*names, *(_text(entry['path']) for entry in content.get('files') or [])]
    except FileNotFoundError as error:
        raise DamageError(f'{METADATA} is missing') from error
    except (
        OSError,
        yaml.YAMLError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
    ) as error:
        raise DamageError(f'{METADATA} does not read ({_first_line(error)})') from error
    for name in named:
        _refuse_outside(name, path)
    try:
        return _metadata(content, names)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamageError(f'{METADATA} does not read ({_first_line(error)})') from error


def storage_files(folder: Path) -> list[Path]:
    """List the files of a folder that hold messages, as their numbers count."""
    found = [path for path in folder.iterdir() if is_storage(path) and path.is_file()]
    return sorted(found, key=lambda path: [int(n) if n else 0 for n in re.findall(r'_(\d+)\.', path.name)])


def is_storage(path: Path) -> bool:
    """Say whether a file's name is one of a bag's files with messages."""
    return path.name.removesuffix(COMPRESSED).endswith(STORAGE_SUFFIXES)


def is_unfinished(folder: Path) -> bool:
    """Say whether a folder is what a recorder leaves that was killed: a bag's files and nothing else."""
    files = [path for path in folder.iterdir() if not path.name.startswith('.')]
    rest = {re.sub(f'({"|".join(_SIDECARS)})$', '', path.name) for path in files}
    return any(map(is_storage, files)) and all(is_storage(folder / name) for name in rest)


def _metadata(content: dict[str, Any], names: list[str]) -> Metadata:
    """Pick what is compared."""
    counts: dict[Channel, int] = {}
    for entry in content['topics_with_message_count']:
        topic = entry['topic_metadata']
        channel = Channel(_text(topic['name']), _text(topic['type']))
        counts[channel] = counts.get(channel, 0) + int(entry['message_count'])
    return Metadata(
        # Before version 4 paths began with the bag's own name.
        tuple(PurePath(name).name for name in names),
        counts,
        int(content['starting_time']['nanoseconds_since_epoch']),
        int(content['duration']['nanoseconds']),
    )


def _refuse_outside(name: str, path: Path) -> None:
    """Refuse a file that is not in the bag's folder."""
    if PurePath(name).is_absolute() or '..' in PurePath(name).parts:
        raise VssError(
            f'expected names of files within its folder in {path}, got {name!r}; do not use this bag, or '
            f'correct relative_file_paths'
        )


def _text(value: object) -> str:
    """Return a text; nothing else is turned into one, which for lists of lists of lists may have no end."""
    if not isinstance(value, str):
        raise TypeError(f'a text is a {type(value).__name__}')
    return value


def _first_line(error: Exception) -> str:
    """Return an error as one line."""
    return ' '.join(str(error).split())[:120] or type(error).__name__
