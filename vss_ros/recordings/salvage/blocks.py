"""The readable parts of an MCAP file, and their messages in the order of bag time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from vss_ros.recordings.salvage.compression import (
    DamageError,
    expand,
    expand_beginning,
    expand_message,
    is_compressed,
)
from vss_ros.recordings.salvage.records import messages_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from vss_ros.recordings.salvage.records import Message
    from vss_ros.recordings.salvage.summary import Channel


@dataclass
class Block:
    """A run of readable records: a chunk, or messages that lie outside of chunks."""

    offset: int
    """Of its (compressed) records in the file."""
    stored: int
    """Their bytes in the file."""
    compression: str
    size: int
    """Their bytes without compression."""
    start: int = 2**63 - 1
    """Earliest bag time in it, in nanoseconds."""
    end: int = 0
    counts: Counter[int] = field(default_factory=Counter)
    """Messages by channel."""
    cut: bool = False
    """Whether the file ends within it."""

    def count(self, found: Message) -> bool:
        """Count a message; says whether it is readable, which those compressed one by one may not be."""
        if is_compressed(found.data):
            try:
                expand_message(found.data)
            except DamageError:
                return False
        self.start, self.end = min(self.start, found.time_ns), max(self.end, found.time_ns)
        self.counts[found.channel] += 1
        return True

    def read(self, file: BinaryIO) -> bytes:
        """Read its records; of a block that is cut off, the beginning.

        Raises:
            DamageError: They do not decompress.
        """
        file.seek(self.offset)
        undo = expand_beginning if self.cut else expand
        return undo(file.read(self.stored), self.compression, self.size)

    def messages(self, file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
        """Yield channel, bag time and CDR bytes of its messages.

        Raises:
            DamageError: The file is no longer what it was.
        """
        try:
            for found in messages_in(self.read(file)):
                try:
                    yield found.channel, found.time_ns, expand_message(found.data)
                except DamageError:  # compressed by itself and damaged: not counted either
                    continue
        except DamageError:
            if not self.cut:
                raise


@dataclass
class McapContents:
    """What a file holds."""

    blocks: list[Block] = field(default_factory=list)
    """Everything readable, in the order of the file."""
    channels: dict[int, Channel] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What is wrong with the file; empty where it is whole."""

    def messages(self, path: Path, topics: Collection[Channel]) -> Iterator[tuple[Channel, int, bytes]]:
        """Read messages in the order of their bag time, holding few blocks at a time.

        Args:
            path: The file.
            topics: The topics to read.

        Yields:
            Topic, bag time in nanoseconds, CDR bytes.

        Raises:
            DamageError: The file is no longer what it was.
            OSError: It does not read.
        """
        wanted = {number: channel for number, channel in self.channels.items() if channel in topics}
        blocks = sorted(
            (block for block in self.blocks if wanted.keys() & block.counts.keys()),
            key=lambda block: block.start,
        )
        waiting: list[tuple[int, int, int, Channel, bytes]] = []
        order = count()
        with path.open('rb') as file:
            for block in blocks:
                while waiting and waiting[0][0] < block.start:
                    time_ns, _, _, channel, data = heappop(waiting)
                    yield channel, time_ns, data
                for number, time_ns, data in block.messages(file):
                    if number in wanted:
                        heappush(waiting, (time_ns, block.offset, next(order), wanted[number], data))
        while waiting:
            time_ns, _, _, channel, data = heappop(waiting)
            yield channel, time_ns, data
