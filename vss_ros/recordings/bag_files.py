"""What the files of a bag say of themselves, read without trust: metadata.yaml, names, compressed parts."""

from __future__ import annotations

import re
import shutil
import sys
from contextlib import suppress
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import lz4.frame
import yaml
from pydantic import AliasPath, BaseModel, ConfigDict, Field, ValidationError

from vss_ros.errors import VssError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from pathlib import Path

METADATA: Final = 'metadata.yaml'
STORAGE_SUFFIXES: Final = ('.mcap', '.db3')
COMPRESSED: Final = '.zstd'
"""Suffix that a recorder adds to files that it compressed as a whole."""
CHUNK_LIMIT: Final = 2**28
"""Most bytes a chunk or a message may hold: recorders make chunks of about a megabyte, and no camera's
message comes near this."""
ZSTD_MAGIC: Final = b'\x28\xb5\x2f\xfd'
_UNPACK_ERRORS: Final = (zstd.ZstdError, RuntimeError, EOFError, ValueError)
"""What the two libraries raise for damaged data; lz4 raises RuntimeError."""
_PIECE: Final = 2**16
_METADATA_LIMIT: Final = 16 * 2**20
"""Most bytes of a metadata.yaml: a thousand topics take one megabyte."""


class DamageError(Exception):
    """A place of a bag is not what its format wants; caught within the reading of bags."""


class Topic(NamedTuple):
    """A topic with the type of its messages, such as ``sensor_msgs/msg/Image``."""

    name: str
    msgtype: str


# ------------------------------------------------------------------ a bag folder


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Knows plain data only, and no merging of mappings, which a few lines can make grow without end."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leave ``<<`` a key of its own, which has no constructor."""


class _Plain(BaseModel):
    """Fields are taken as they are; an error names them without repeating what they hold."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)


class _TopicCount(_Plain):
    name: Annotated[str, Field(validation_alias=AliasPath('topic_metadata', 'name'))]
    type: Annotated[str, Field(validation_alias=AliasPath('topic_metadata', 'type'))]
    message_count: int


class _FileEntry(_Plain):
    path: str


class Metadata(_Plain):
    """What a folder says of its files; ``files`` since version 5 of the format."""

    relative_file_paths: list[str]
    files: list[_FileEntry] | None = None
    topics: Annotated[list[_TopicCount], Field(validation_alias='topics_with_message_count')]
    start_ns: Annotated[int, Field(validation_alias=AliasPath('starting_time', 'nanoseconds_since_epoch'))]
    duration_ns: Annotated[int, Field(validation_alias=AliasPath('duration', 'nanoseconds'))]


def read_metadata(folder: Path) -> Metadata:
    """Read a folder's metadata.yaml.

    Raises:
        VssError: It names files outside of the folder.
        DamageError: It is missing, too large or does not read.
    """
    path = folder / METADATA
    try:
        if path.stat().st_size > _METADATA_LIMIT:
            raise DamageError(f'{METADATA} has more than {_METADATA_LIMIT} bytes')
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
    rest = {re.sub('-(wal|shm|journal)$', '', name) for name in names}
    return any(map(_is_storage, names)) and all(map(_is_storage, rest))


def _is_storage(name: str) -> bool:
    return name.removesuffix(COMPRESSED).endswith(STORAGE_SUFFIXES)


# ------------------------------------------------------------------ compressed by zstd or lz4


def expand(data: bytes, compression: str, limit: int) -> tuple[bytes | bytearray, bool]:
    """Decompress by ``lz4``, ``zstd`` or ``''`` as far as the data go, at most one byte beyond a limit.

    Returns:
        The bytes, and whether the compressed data came to their end there.
    """
    if not compression:
        return data[: limit + 1], len(data) <= limit
    if compression not in {'lz4', 'zstd'}:
        return b'', False
    decompressor = zstd.ZstdDecompressor() if compression == 'zstd' else lz4.frame.LZ4FrameDecompressor()
    raw = bytearray()
    with suppress(*_UNPACK_ERRORS):
        while not decompressor.eof and len(raw) <= limit:
            piece = decompressor.decompress(data, max_length=min(_PIECE, limit + 1 - len(raw)))
            if not piece and not data:
                break
            raw += piece
            data = b''
    return raw, decompressor.eof and not decompressor.unused_data


def expand_message(data: bytes) -> bytes:
    """Return a message, decompressed where it was compressed by itself (rosbag2's mode ``MESSAGE``).

    Raises:
        DamageError: It does not decompress.
        VssError: It grows beyond ``CHUNK_LIMIT``.
    """
    if data[:4] != ZSTD_MAGIC:  # CDR begins with a zero byte
        return data
    raw, whole = expand(data, 'zstd', CHUNK_LIMIT)
    if len(raw) > CHUNK_LIMIT:
        raise VssError(
            f'expected messages of at most {CHUNK_LIMIT} bytes, got one of {len(data)} that grows beyond '
            f'it; do not use this bag'
        )
    if not whole:
        raise DamageError('a compressed message does not decompress')
    return bytes(raw)


def expand_file(source: Path, target: Path) -> bool:
    """Decompress a ``.zstd`` file (rosbag2's mode ``FILE``) as far as it goes; says whether it was whole.

    Raises:
        VssError: It grows beyond half of the free space.
    """
    written, limit = 0, shutil.disk_usage(target.parent).free // 2
    with target.open('wb') as sink, zstd.open(source, 'rb') as stream, suppress(*_UNPACK_ERRORS):
        while piece := stream.read1(_PIECE):  # a fuller read that fails in the middle loses what it had
            written += sink.write(piece)
            if written > limit:
                raise VssError(
                    f'expected {source} to decompress to at most {limit} bytes (half of the free space '
                    f'for temporary files), got more; free some space, or do not use it'
                )
        return True
    return False
