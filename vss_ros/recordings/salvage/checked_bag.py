"""Reading bags that may be damaged: what can be had of them, and whether that is all.

``recordings.bags.open_bag`` refuses a damaged bag; ``open_checked`` reads every file to its end
first, says what is wrong (``partial``) and gives every complete message. Whole files are read by rosbags.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from rosbags.interfaces import Connection, ConnectionExtRosbag2, MessageDefinition, MessageDefinitionFormat

from vss_ros.errors import VssError
from vss_ros.recordings.bags import open_bag
from vss_ros.recordings.salvage.compression import DamageError, expand_file, expand_message
from vss_ros.recordings.salvage.mcap import survey_mcap
from vss_ros.recordings.salvage.metadata import COMPRESSED, read_metadata, storage_files
from vss_ros.recordings.salvage.sqlite import SqliteRest, check_sqlite, finish, is_open
from vss_ros.recordings.salvage.summary import Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from vss_ros.recordings.salvage.blocks import McapContents
    from vss_ros.recordings.salvage.metadata import Metadata

    Timed = tuple[Channel, int, bytes]

_TOLD: Final = 3
"""How many places of damage are named."""
_SLACK_NS: Final = 10**6
"""How far times in metadata.yaml may lie from those of the messages."""


class _File(Protocol):
    """One file of a bag."""

    @property
    def counts(self) -> dict[Channel, int]:
        """Messages by topic."""

    @property
    def span(self) -> tuple[int, int]:
        """Earliest and latest bag time in nanoseconds; of no meaning without messages."""

    def messages(self, topics: Collection[Channel]) -> Iterator[Timed]:
        """Yield topic, bag time and CDR bytes in the order of bag time."""


class _WholeFile:
    """A file without damage, read by rosbags."""

    def __init__(self, path: Path) -> None:
        """Look at its index.

        Raises:
            VssError: rosbags does not read it.
        """
        self._path = path
        self.counts: dict[Channel, int] = {}
        with open_bag(path) as reader:
            for connection in reader.connections:
                channel = Channel(connection.topic, connection.msgtype)
                self.counts[channel] = self.counts.get(channel, 0) + connection.msgcount
            self.span = (reader.start_time, reader.end_time - 1)

    def messages(self, topics: Collection[Channel]) -> Iterator[Timed]:
        """Yield topic, bag time and CDR bytes in the order of bag time."""
        with open_bag(self._path) as reader:
            wanted = [c for c in reader.connections if Channel(c.topic, c.msgtype) in topics]
            # To rosbags an empty list means every topic, or none, by the kind of file.
            for connection, time_ns, data in reader.messages(wanted) if wanted else ():
                yield Channel(connection.topic, connection.msgtype), time_ns, expand_message(data)


class _McapRest:
    """The readable blocks of a damaged MCAP file."""

    def __init__(self, path: Path, contents: McapContents) -> None:
        """Count."""
        self._path, self._contents = path, contents
        self.counts: dict[Channel, int] = {}
        for number, channel in contents.channels.items():
            count = sum(block.counts[number] for block in contents.blocks)
            self.counts[channel] = self.counts.get(channel, 0) + count
        blocks = contents.blocks
        self.span = (min((b.start for b in blocks), default=0), max((b.end for b in blocks), default=0))

    def messages(self, topics: Collection[Channel]) -> Iterator[Timed]:
        """Yield topic, bag time and CDR bytes in the order of bag time."""
        return self._contents.messages(self._path, topics)


class CheckedBag:
    """A bag's readable messages. Every call of ``messages`` begins anew, and several may run at a time."""

    def __init__(self, path: Path, files: list[_File], notes: list[str]) -> None:
        """Put the files together.

        Args:
            path: What was opened.
            files: In the order of time.
            notes: What is wrong.
        """
        self.path = path
        self._files = files
        self.partial = _reason(notes)
        """What is wrong with it, in one line; None where it is whole."""
        counts: dict[Channel, int] = {}
        for file in files:
            for channel, count in file.counts.items():
                counts[channel] = counts.get(channel, 0) + count
        self.message_count = sum(counts.values())
        spans = [file.span for file in files if any(file.counts.values())]
        self.start_time = min((start for start, _ in spans), default=2**63 - 1)
        """Bag time of the first message, in nanoseconds."""
        self.end_time = max((end for _, end in spans), default=-1) + 1
        """Bag time after the last message, in nanoseconds."""
        self.connections = [
            _connection(number, channel, counts[channel], self) for number, channel in enumerate(counts, 1)
        ]
        """One for each topic and type."""

    def messages(self, connections: Iterable[Connection]) -> Iterator[tuple[Connection, int, bytes]]:
        """Read messages, file by file, in the order of bag time.

        Args:
            connections: The topics to read.

        Yields:
            Connection, bag time in nanoseconds, CDR bytes.
        """
        wanted = {Channel(c.topic, c.msgtype): c for c in connections}
        for file in self._files:
            for channel, time_ns, data in file.messages(wanted):
                yield wanted[channel], time_ns, data


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
        VssError: Nothing of it reads, it declares sizes that nobody has room for, or it names files outside
            of its folder.
    """
    with ExitStack() as stack:
        paths, metadata, notes = _list_files(path)
        files: list[_File] = []
        for file in paths:
            opened, wrong = _open_file(file, stack, on_bytes)
            notes += [f'{file.name}: {note}' for note in wrong]
            files += opened
        bag = CheckedBag(path, files, notes)
        if metadata is not None and not notes:
            bag = CheckedBag(path, files, _disagreements(metadata, bag))
        if bag.partial and not bag.message_count:
            raise VssError(
                f'expected a readable rosbag2 bag, got no readable message in {path}: {bag.partial}; record '
                f'it again or take a copy that is whole'
            )
        yield bag


def _list_files(path: Path) -> tuple[list[Path], Metadata | None, list[str]]:
    """Find a bag's files; also returns what the folder says of them and what is wrong with it."""
    if path.is_file():
        return [path], None, []
    if not path.is_dir():
        raise VssError(
            f'expected a readable rosbag2 bag (a folder with metadata.yaml, a .mcap or a .db3), got {path}, '
            f'which does not exist'
        )
    try:
        metadata = read_metadata(path)
    except DamageError as error:
        return storage_files(path), None, [str(error)]
    paths = [path / name for name in metadata.files]
    notes = [f'{file.name} is missing' for file in paths if not file.is_file()]
    present = [file for file in paths if file.is_file()]
    return present or storage_files(path), metadata, notes


def _open_file(path: Path, stack: ExitStack, on_bytes: Callable[[int], Any]) -> tuple[list[_File], list[str]]:
    """Check one file; returns what reads it, if anything does, and what is wrong with it."""
    notes = []
    if path.name.endswith(COMPRESSED):
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='vss-bag-')))
        target = folder / path.name.removesuffix(COMPRESSED)
        if not expand_file(path, target, shutil.disk_usage(folder).free // 2):
            notes.append('it does not decompress to its end')
        path = target
    if path.suffix == '.mcap':
        contents = survey_mcap(path, on_bytes)
        notes += contents.notes
        return _whole_or(path, notes, lambda: _McapRest(path, contents)), notes
    if path.suffix == '.db3':
        if is_open(path):
            notes.append('its recorder did not finish it')
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='vss-bag-')))
            path = finish(path, folder)
        if wrong := check_sqlite(path):
            notes.append(wrong)
        on_bytes(path.stat().st_size)
        return _whole_or(path, notes, lambda: _sqlite_rest(path, notes)), notes
    return [], [*notes, 'it is neither a .mcap nor a .db3']


def _whole_or(path: Path, notes: list[str], rest: Callable[[], _File]) -> list[_File]:
    """Let rosbags read a file where nothing is wrong with it."""
    if not notes:
        try:
            return [_WholeFile(path)]
        except VssError as error:
            notes.append(str(error))
    return [rest()]


def _sqlite_rest(path: Path, notes: list[str]) -> SqliteRest:
    """Look for the rows of a damaged file."""
    rest = SqliteRest(path)
    if rest.lost:
        notes.append(f'{rest.lost} messages belong to topics whose names are lost')
    return rest


def _disagreements(metadata: Metadata, bag: CheckedBag) -> list[str]:
    """Say where metadata.yaml and the files differ."""
    held = {Channel(c.topic, c.msgtype): c.msgcount for c in bag.connections}
    notes = [
        f'metadata.yaml counts {metadata.counts.get(channel, 0)} messages on {channel.topic}, the files hold '
        f'{held.get(channel, 0)}'
        for channel in {**metadata.counts, **held}
        if metadata.counts.get(channel, 0) != held.get(channel, 0)
    ]
    start, end = metadata.start_ns, metadata.start_ns + metadata.duration_ns
    off = max(abs(start - bag.start_time), abs(end - bag.end_time))
    if bag.message_count and off > _SLACK_NS:
        notes.append(f'metadata.yaml names times that are {off / 1e9:.3f} s off')
    return notes


def _reason(notes: list[str]) -> str | None:
    """Put what is wrong into one line."""
    if not notes:
        return None
    more = [f'and {len(notes) - _TOLD} more'] if len(notes) > _TOLD else []
    return '; '.join([*notes[:_TOLD], *more])


def _connection(number: int, channel: Channel, count: int, owner: object) -> Connection:
    """Describe a topic as rosbags does."""
    return Connection(
        number,
        channel.topic,
        channel.msgtype,
        MessageDefinition(MessageDefinitionFormat.NONE, ''),
        '',
        count,
        ConnectionExtRosbag2('cdr', []),
        owner,
    )
