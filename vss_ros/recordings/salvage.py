"""Bags that may be damaged: what can be had of them, and whether that is all.

``recordings.bags.open_bag`` refuses a damaged bag; ``open_checked`` reads every file to its end first, says
what is wrong (``partial``) and gives every complete message. ``mcap_file`` and ``sqlite_file`` read single
files.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rosbags.interfaces import Connection, ConnectionExtRosbag2, MessageDefinition, MessageDefinitionFormat

from vss_ros.errors import VssError
from vss_ros.recordings.bag_metadata import COMPRESSED, DamageError, Topic, read_metadata, storage_files
from vss_ros.recordings.compression import expand_file
from vss_ros.recordings.mcap_file import McapFile
from vss_ros.recordings.sqlite_file import SqliteFile, check_sqlite, finish, has_log, recover_sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from vss_ros.recordings.bag_metadata import Metadata

_NAMED: Final = 3
"""How many places of damage are named."""
_SLACK_NS: Final = 10**6
"""How far times in metadata.yaml may lie from those of the messages."""


class CheckedBag:
    """A bag's readable messages. Every call of ``messages`` begins anew, and several may run at a time."""

    def __init__(self, path: Path, files: list[McapFile | SqliteFile], notes: list[str]) -> None:
        """Put the files together.

        Args:
            path: What was opened.
            files: In the order of time.
            notes: What is wrong.
        """
        self.path = path
        self._files = files
        more = [f'and {len(notes) - _NAMED} more'] if len(notes) > _NAMED else []
        self.partial = '; '.join([*notes[:_NAMED], *more]) or None
        """What is wrong with it, in one line; None where it is whole."""
        counts: dict[Topic, int] = {}
        for file in files:
            for topic, count in file.counts.items():
                counts[topic] = counts.get(topic, 0) + count
        self.message_count = sum(counts.values())
        spans = [file.span for file in files if any(file.counts.values())]
        self.start_time = min((start for start, _ in spans), default=2**63 - 1)
        """Bag time of the first message, in nanoseconds."""
        self.end_time = max((end for _, end in spans), default=-1) + 1
        """Bag time after the last message, in nanoseconds."""
        nothing, ext = MessageDefinition(MessageDefinitionFormat.NONE, ''), ConnectionExtRosbag2('cdr', [])
        self.connections = [
            Connection(number, topic.name, topic.msgtype, nothing, '', counts[topic], ext, self)
            for number, topic in enumerate(counts, 1)
        ]
        """One for each topic and type."""

    def messages(self, connections: Iterable[Connection]) -> Iterator[tuple[Connection, int, bytes]]:
        """Read messages, file by file, in the order of bag time.

        Args:
            connections: The topics to read.

        Yields:
            Connection, bag time in nanoseconds, CDR bytes.
        """
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
        VssError: Nothing of it reads, it declares chunks or messages of more than a gigabyte, or it
            names files outside of its folder.
    """
    with ExitStack() as stack:
        paths, metadata, notes = _list_files(path)
        files: list[McapFile | SqliteFile] = []
        for file in paths:
            wrong: list[str] = []
            files += _open_file(file, stack, on_bytes, wrong)
            notes += [f'{file.name}: {note}' for note in wrong]
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
    paths = [path / name for name in metadata.names]
    present = [file for file in paths if file.is_file()]
    notes = [f'{file.name} is missing' for file in paths if file not in present]
    return present or storage_files(path), metadata, notes


def _open_file(
    path: Path, stack: ExitStack, on_bytes: Callable[[int], Any], notes: list[str]
) -> list[McapFile | SqliteFile]:
    """Check one file and note what is wrong with it; returns what reads it, if anything does."""

    def make_folder() -> Path:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='vss-bag-')))

    if path.name.endswith(COMPRESSED):
        target = make_folder() / path.name.removesuffix(COMPRESSED)
        if not expand_file(path, target):
            notes.append('it does not decompress to its end')
        path = target
    if path.suffix == '.mcap':
        mcap = McapFile(path, on_bytes)
        notes += mcap.notes
        return [mcap]
    if path.suffix != '.db3':
        notes.append('it is neither a .mcap nor a .db3')
        return []
    on_bytes(path.stat().st_size)
    if has_log(path):
        notes.append('its recorder did not finish it')
        path = finish(path, make_folder())
    try:
        check_sqlite(path)
        return [SqliteFile(path)]
    except DamageError as error:
        notes.append(str(error))
    folder = make_folder()
    if lost := recover_sqlite(path, folder):
        notes.append(f'{lost} messages do not decompress, or belong to topics whose names are lost')
    return [SqliteFile(folder / path.name)]


def _disagreements(metadata: Metadata, bag: CheckedBag) -> list[str]:
    """Say where metadata.yaml and the files differ."""
    said, held = metadata.counts, {Topic(c.topic, c.msgtype): c.msgcount for c in bag.connections}
    notes = [
        f'metadata.yaml counts {said.get(topic, 0)} messages on {topic.name}, the files hold '
        f'{held.get(topic, 0)}'
        for topic in {**said, **held}
        if said.get(topic, 0) != held.get(topic, 0)
    ]
    start, end = metadata.start_ns, metadata.start_ns + metadata.duration_ns
    off = max(abs(start - bag.start_time), abs(end - bag.end_time))
    if bag.message_count and off > _SLACK_NS:
        notes.append(f'metadata.yaml names times that are {off / 1e9:.3f} s off')
    return notes
