"""Bags with all their files checked: ``open_checked``, metadata.yaml and the names of files.

``bags.open_bag`` refuses a damaged bag; ``open_checked`` reads every file to its end first, says what is
wrong (``partial``) and gives every complete message, through ``salvage``.
"""

from __future__ import annotations

import re
import sqlite3
import tempfile
from collections import Counter
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any, Final

import yaml
from pydantic import AliasPath, BaseModel, ConfigDict, Field, ValidationError
from rosbags.interfaces import Connection, ConnectionExtRosbag2, MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag2 import Reader

from vss_ros.errors import VssError
from vss_ros.files import read_regular
from vss_ros.recordings.salvage import McapFile, Topic, finish_sqlite, recover_sqlite
from vss_ros.recordings.source import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from vss_ros.recordings.unpacking import ZSTD_MAGIC, DamageError, expand_file, expand_message

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

METADATA: Final = 'metadata.yaml'
STORAGE_SUFFIXES: Final = ('.mcap', '.db3')
_COMPRESSED: Final = '.zstd'
"""Suffix that a recorder adds to files that it compressed as a whole."""
_POINTER: Final = b'version https://git-lfs'
_ROS_1: Final = b'#ROSBAG V'
_METADATA_LIMIT: Final = 16 * 2**20
"""Most bytes of a metadata.yaml: a thousand topics take one megabyte."""
_NAMED: Final = 3
"""How many places of damage are named."""
_SLACK_NS: Final = 10**6
"""How far times in metadata.yaml may lie from those of the messages."""


class CheckedBag:
    """A bag's readable messages. Every call of ``messages`` begins anew, and several may run at a time."""

    def __init__(self, path: Path, files: list[McapFile | _SqliteFile], notes: list[str]) -> None:
        """Put files, in the order of time, together; ``notes`` say what is wrong."""
        self.path, self._files, self._notes = path, files, notes
        self.counts: Counter[Topic] = Counter()
        """Messages by topic."""
        for file in files:
            self.counts.update(file.counts)
        self.message_count = self.counts.total()
        spans = [file.span for file in files if file.counts.total()]
        self.start_time = min((start for start, _ in spans), default=2**63 - 1)
        """Bag time of the first message, in nanoseconds."""
        self.end_time = max((end for _, end in spans), default=-1) + 1
        """Bag time after the last message, in nanoseconds."""
        nothing, ext = MessageDefinition(MessageDefinitionFormat.NONE, ''), ConnectionExtRosbag2('cdr', [])
        self.connections = [
            Connection(number, topic.name, topic.msgtype, nothing, '', held, ext, self)
            for number, (topic, held) in enumerate(self.counts.items(), 1)
        ]
        """One for each topic and type."""

    @property
    def partial(self) -> str | None:
        """What is wrong with it, in one line; None where it is whole."""
        more = [f'and {len(self._notes) - _NAMED} more'] if len(self._notes) > _NAMED else []
        return '; '.join([*self._notes[:_NAMED], *more]) or None

    def messages(self, connections: Iterable[Connection]) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield connection, bag time in nanoseconds and CDR bytes, file by file, in the order of bag time."""
        wanted = {Topic(c.topic, c.msgtype): c for c in connections}
        for file in self._files:
            for topic, time_ns, data in file.messages(wanted):
                yield wanted[topic], time_ns, data


@contextmanager
def open_checked(path: Path, on_bytes: Callable[[int], Any] = lambda _: None) -> Iterator[CheckedBag]:
    """Open a bag that may be damaged; all of it is read once and checked.

    Args:
        path: A bag folder, or a bare ``.mcap`` or ``.db3`` file. A folder without metadata.yaml, as a killed
            recorder leaves it, counts as damaged.
        on_bytes: Called with every count of bytes that were checked.

    Yields:
        The bag; its ``partial`` says what is wrong.

    Raises:
        VssError: Nothing of it reads, it declares chunks or messages larger than ``CHUNK_LIMIT``, or it
            names files outside of its folder.
    """
    with ExitStack() as stack:
        paths, metadata, notes = _list_files(path)
        files: list[McapFile | _SqliteFile] = []
        for file in paths:
            refuse_foreign(file)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='vss-bag-')))
            wrong: list[str] = []
            inner = folder / file.name.removesuffix(_COMPRESSED)
            if inner.name == file.name:
                inner = file
            elif not expand_file(file, inner):
                wrong.append('it does not decompress to its end')
            if inner.suffix == '.mcap':
                files.append(McapFile(inner, on_bytes, wrong))
            elif inner.suffix == '.db3':
                on_bytes(inner.stat().st_size)
                files.append(_open_sqlite(inner, folder, wrong))
            else:
                wrong.append('it is neither a .mcap nor a .db3')
            notes += [f'{file.name}: {note}' for note in wrong]
        bag = CheckedBag(path, files, notes)
        if metadata is not None and not notes:
            notes += _disagreements(metadata, bag)
        if bag.partial and not bag.message_count:
            raise VssError(
                f'expected a readable rosbag2 bag, got no readable message in {path}: {bag.partial}; record '
                f'it again or take a copy that is whole'
            )
        yield bag


def _open_sqlite(path: Path, folder: Path, notes: list[str]) -> _SqliteFile:
    if finish_sqlite(path, folder / 'finished.db3'):
        notes.append('its recorder did not finish it')
        path = folder / 'finished.db3'
    try:
        return _SqliteFile(path)
    except DamageError as error:
        notes.append(str(error))
    if lost := recover_sqlite(path, folder / 'recovered.db3'):
        notes.append(f'{lost} messages do not decompress, or belong to topics whose names are lost')
    return _SqliteFile(folder / 'recovered.db3')


class _SqliteFile:
    """An sqlite3 file without damage, read by rosbags."""

    def __init__(self, path: Path) -> None:
        """Check it. SQLite has no checksums: damaged structure shows, a flipped bit in a picture doesn't.

        Raises:
            DamageError: It is damaged, or rosbags does not read it.
            VssError: A message decompresses to more than the limit.
        """
        self._path, self.counts = path, Counter[Topic]()
        try:
            with closing(sqlite3.connect(f'{path.absolute().as_uri()}?immutable=1', uri=True)) as database:
                database.execute('PRAGMA trusted_schema = OFF')
                check_tables(database)
                ((pages,),) = database.execute('PRAGMA page_count')
                ((width,),) = database.execute('PRAGMA page_size')
                if pages * width != (size := path.stat().st_size):
                    raise DamageError(f'expected {pages} pages of {width} bytes, got {size} bytes')
                ((verdict,),) = database.execute('PRAGMA integrity_check(1)')
                if verdict != 'ok':
                    raise DamageError(verdict.replace('\n', ' '))
                query = 'SELECT data FROM messages WHERE substr(data, 1, 4) = ?'
                for (data,) in database.execute(query, [ZSTD_MAGIC]):
                    expand_message(data)
            with Reader(path) as reader:
                for connection in reader.connections:
                    self.counts[Topic(connection.topic, connection.msgtype)] += connection.msgcount
                self.span = (reader.start_time, reader.end_time - 1)
        except (VssError, DamageError):
            raise
        except Exception as error:  # rosbags raises many kinds
            raise DamageError(str(error) if isinstance(error, sqlite3.Error) else repr(error)) from error

    def messages(self, topics: Collection[Topic]) -> Iterator[tuple[Topic, int, bytes]]:
        """Yield topic, bag time and CDR bytes in the order of bag time."""
        with Reader(self._path) as reader:
            wanted = [c for c in reader.connections if Topic(c.topic, c.msgtype) in topics]
            # To rosbags an empty list means every topic, or none, by the kind of file.
            for connection, time_ns, data in reader.messages(wanted) if wanted else ():
                with suppress(DamageError):  # compressed by itself and damaged
                    yield Topic(connection.topic, connection.msgtype), time_ns, expand_message(data)


def _list_files(path: Path) -> tuple[list[Path], Metadata | None, list[str]]:
    """Find a bag's files; also returns what the folder says of them and what is wrong with it."""
    if path.is_file():
        return [path], None, []
    if not path.is_dir():
        raise VssError(
            f'expected a readable rosbag2 bag (a folder with metadata.yaml, a .mcap or a .db3), got {path}, '
            f'which does not exist'
        )
    files = {file.name: file for file in path.iterdir() if is_storage(file.name) and file.is_file()}
    # Of a file and its compressed twin the file is enough.
    found = [
        f for n, f in files.items() if not n.endswith(_COMPRESSED) or n.removesuffix(_COMPRESSED) not in files
    ]
    found.sort(key=lambda file: [int(n) if n else 0 for n in re.findall(r'_(\d+)\.', file.name)])
    try:
        metadata = read_metadata(path)
    except DamageError as error:
        return found, None, [str(error)]
    # Before version 4 of the format the names began with the bag's own.
    paths = [path / Path(name).name for name in metadata.relative_file_paths]
    present = [file for file in paths if file.is_file()]
    notes = [f'{file.name} is missing' for file in paths if file not in present]
    return present or found, metadata, notes


def refuse_foreign(file: Path) -> None:
    """Raise a VssError for a bag of ROS 1, and for what Git LFS leaves in place of a file not fetched."""
    if not file.is_file():
        return
    with file.open('rb') as stream:
        head = stream.read(len(_POINTER))
    if head == _POINTER:
        raise VssError(f'expected a recording, got {file}, a Git LFS pointer to one; run: git lfs pull')
    if head.startswith(_ROS_1):
        to = file.with_suffix('')
        raise VssError(f'{file}: a ROS 1 bag; convert it: rosbags-convert --src {file} --dst {to}')


def check_tables(database: sqlite3.Connection) -> None:
    """Refuse what computes: a view called like a table may never end.

    Raises:
        DamageError: There is a view or a trigger.
    """
    for kind, name in database.execute(
        "SELECT type, name FROM sqlite_master WHERE type IN ('view', 'trigger')"
    ):
        raise DamageError(f'expected tables, got the {kind} {name}')


def _disagreements(metadata: Metadata, bag: CheckedBag) -> list[str]:
    said: Counter[Topic] = Counter()
    for entry in metadata.topics:
        said[Topic(entry.name, entry.type)] += entry.message_count
    notes = [
        f'metadata.yaml counts {said[topic]} messages on {topic.name}, the files hold {bag.counts[topic]}'
        for topic in {**said, **bag.counts}
        if said[topic] != bag.counts[topic]
    ]
    start, end = metadata.start_ns, metadata.start_ns + metadata.duration_ns
    off = max(abs(start - bag.start_time), abs(end - bag.end_time))
    if bag.message_count and off > _SLACK_NS:
        notes.append(f'metadata.yaml names times that are {off / 1e9:.3f} s off')
    return notes


def is_unfinished(folder: Path) -> bool:
    """Say whether a folder is what a killed recorder leaves: a bag's files, maybe with notes."""
    files = [path for path in folder.iterdir() if not path.name.startswith('.')]
    pictures = IMAGE_SUFFIXES | VIDEO_SUFFIXES
    return any(is_storage(file.name) for file in files) and not any(
        file.is_dir() or file.suffix.lower() in pictures for file in files
    )


def is_storage(name: str) -> bool:
    """Say whether a file is called like one of a bag's."""
    return name.removesuffix(_COMPRESSED).endswith(STORAGE_SUFFIXES)


# ------------------------------------------------------------------ metadata.yaml


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
        content = yaml.load(read_regular(path, _METADATA_LIMIT), _Loader)['rosbag2_bagfile_information']
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
