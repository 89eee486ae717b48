"""A bag folder's metadata.yaml, read without trusting it, and the names of a bag's files."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import yaml
from pydantic import AliasPath, BaseModel, ConfigDict, Field, ValidationError

from vss_ros.errors import VssError

if TYPE_CHECKING:
    from pathlib import Path

METADATA: Final = 'metadata.yaml'
STORAGE_SUFFIXES: Final = ('.mcap', '.db3')
COMPRESSED: Final = '.zstd'
"""Suffix that a recorder adds to files that it compressed as a whole."""
_SIDECARS: Final = ('-wal', '-shm', '-journal')
_LIMIT: Final = 16 * 2**20
"""Most bytes of a metadata.yaml: a thousand topics take one megabyte."""


class DamageError(Exception):
    """A place of a bag is not what its format wants; caught within the reading of bags."""


class Topic(NamedTuple):
    """A topic with the type of its messages, such as ``sensor_msgs/msg/Image``."""

    name: str
    msgtype: str


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Knows plain data only, and no merging of mappings, which a few lines can make grow without end."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leave ``<<`` a key of its own, which has no constructor."""


class _Plain(BaseModel):
    """Fields are taken as they are; an error names them without repeating what they hold."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)


class _TopicCount(_Plain):
    """How many messages a topic has."""

    name: Annotated[str, Field(validation_alias=AliasPath('topic_metadata', 'name'))]
    type: Annotated[str, Field(validation_alias=AliasPath('topic_metadata', 'type'))]
    message_count: int


class _FileEntry(_Plain):
    """What version 5 and later say of a file."""

    path: str


class Metadata(_Plain):
    """What a folder says of its files."""

    relative_file_paths: list[str]
    files: list[_FileEntry] | None = None
    topics: Annotated[list[_TopicCount], Field(validation_alias='topics_with_message_count')]
    start_ns: Annotated[int, Field(validation_alias=AliasPath('starting_time', 'nanoseconds_since_epoch'))]
    duration_ns: Annotated[int, Field(validation_alias=AliasPath('duration', 'nanoseconds'))]

    @property
    def names(self) -> list[str]:
        """Names of the files within the folder, in order; before version 4 they began with the bag's own."""
        return [PurePath(name).name for name in self.relative_file_paths]

    @property
    def counts(self) -> dict[Topic, int]:
        """Messages by topic."""
        counts: dict[Topic, int] = {}
        for entry in self.topics:
            topic = Topic(entry.name, entry.type)
            counts[topic] = counts.get(topic, 0) + entry.message_count
        return counts


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
        metadata = Metadata.model_validate(content)
    except FileNotFoundError as error:
        raise DamageError(f'{METADATA} is missing') from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = '.'.join(map(str, first['loc']))
        raise DamageError(f'{METADATA} does not read ({where}: {first["msg"]})') from error
    except (OSError, yaml.YAMLError, ValueError, TypeError, KeyError, RecursionError) as error:
        text = ' '.join(str(error).split())[:120] or type(error).__name__
        raise DamageError(f'{METADATA} does not read ({text})') from error
    for name in [*metadata.relative_file_paths, *(entry.path for entry in metadata.files or [])]:
        if PurePath(name).is_absolute() or '..' in PurePath(name).parts:
            raise VssError(
                f'expected names of files within its folder in {path}, got {name!r}; do not use this bag, or '
                f'correct relative_file_paths'
            )
    return metadata


def storage_files(folder: Path) -> list[Path]:
    """List the files of a folder that hold messages, as their numbers count."""
    found = [path for path in folder.iterdir() if _is_storage(path.name) and path.is_file()]
    return sorted(found, key=lambda path: [int(n) if n else 0 for n in re.findall(r'_(\d+)\.', path.name)])


def is_unfinished(folder: Path) -> bool:
    """Say whether a folder is what a recorder leaves that was killed: a bag's files and nothing else."""
    names = [path.name for path in folder.iterdir() if not path.name.startswith('.')]
    rest = {re.sub(f'({"|".join(_SIDECARS)})$', '', name) for name in names}
    return any(map(_is_storage, names)) and all(map(_is_storage, rest))


def _is_storage(name: str) -> bool:
    """Say whether a file's name is one of a bag's files with messages."""
    return name.removesuffix(COMPRESSED).endswith(STORAGE_SUFFIXES)
