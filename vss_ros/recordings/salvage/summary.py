"""What an MCAP file says of itself, to be compared with what is there: names of topics, index, statistics."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from vss_ros.recordings.salvage.compression import DamageError
from vss_ros.recordings.salvage.records import (
    ATTACHMENT_INDEX,
    CHANNEL,
    CHUNK_INDEX,
    FOOTER,
    MAGIC,
    METADATA_INDEX,
    RECORD_HEAD,
    SCHEMA,
    STATISTICS,
    SUMMARY_OFFSET,
    Fields,
    chunk_index,
    messages_in,
    read_statistics,
    record_head,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from vss_ros.recordings.salvage.records import ChunkFacts, Statistics

FOOTER_BYTES: Final = RECORD_HEAD + 20


class Channel(NamedTuple):
    """A topic of a file."""

    topic: str
    msgtype: str


class Names:
    """Schemas and channels, which a file repeats in its summary."""

    def __init__(self) -> None:
        """Know none."""
        self._schemas: dict[int, bytes] = {}
        self._channels: dict[int, tuple[int, str, str]] = {}

    def __contains__(self, channel: int) -> bool:
        """Whether a channel was announced."""
        return channel in self._channels

    def add(self, opcode: int, body: bytes) -> None:
        """Take in a schema or channel record; the first of a number stays.

        Raises:
            DamageError: It does not read, or contradicts an earlier one.
        """
        fields = Fields(body)
        number = fields.number(2)
        if opcode == SCHEMA:
            fields.text()
            contradicted = self._schemas.setdefault(number, body) != body
        else:
            channel = (fields.number(2), fields.text(), fields.text())
            contradicted = self._channels.setdefault(number, channel) != channel
        if contradicted:
            raise DamageError(
                f'{"schema" if opcode == SCHEMA else "channel"} {number} is there in two versions'
            )

    def add_doubtful(self, records: bytes) -> None:
        """Take in schemas and channels of a damaged chunk, where nothing else tells of them.

        Args:
            records: Its records, as far as they go.
        """

        def take(opcode: int, body: bytes) -> None:
            if opcode in {SCHEMA, CHANNEL}:
                self.add(opcode, body)

        with suppress(DamageError):
            for _ in messages_in(records, take):
                pass

    def fill_in(self, other: Names) -> None:
        """Take over what only others know."""
        self._schemas = other._schemas | self._schemas
        self._channels = other._channels | self._channels

    def channels(self) -> dict[int, Channel]:
        """Return the channels whose message type is known."""
        types = {number: Fields(body[2:]).text() for number, body in self._schemas.items()}
        return {
            number: Channel(topic, types[schema])
            for number, (schema, topic, _) in self._channels.items()
            if schema in types
        }


class Summary:
    """The summary section, record by record."""

    def __init__(self, start: int, names: Names) -> None:
        """Begin a section.

        Args:
            start: Where it begins in the file.
            names: Gets its schemas and channels.
        """
        self.start = start
        self.indices: dict[int, ChunkFacts] = {}
        """Chunks by where they begin."""
        self.statistics: Statistics | None = None
        self._offsets = 0
        self._names = names

    def take(self, opcode: int, position: int, body: bytes) -> None:
        """Take in a record other than the footer.

        Raises:
            DamageError: It does not read or does not belong here.
        """
        if opcode in {SCHEMA, CHANNEL}:
            self._names.add(opcode, body)
        elif opcode == CHUNK_INDEX:
            chunk, facts = chunk_index(body)
            self.indices[chunk] = facts
        elif opcode == STATISTICS:
            self.statistics = read_statistics(body)
        elif opcode == SUMMARY_OFFSET:
            self._offsets = self._offsets or position
        elif opcode not in {ATTACHMENT_INDEX, METADATA_INDEX}:
            raise DamageError(f'a record of kind {opcode} does not belong into the summary')

    def check_footer(self, position: int, body: bytes, checksum: Callable[[int, int], int]) -> None:
        """Compare the footer with the section before it.

        Args:
            position: Where the footer begins.
            body: Its fields.
            checksum: Returns the CRC-32 of the file's bytes from one position to another.

        Raises:
            DamageError: It contradicts what is there.
        """
        fields = Fields(body)
        start, offsets, crc = fields.number(8), fields.number(8), fields.number(4)
        # A file without a summary says 0 for its start; so does one without offsets for theirs.
        starts = {self.start} if position > self.start else {0, self.start}
        if len(body) != FOOTER_BYTES - RECORD_HEAD or start not in starts:
            raise DamageError('the footer points elsewhere than to the summary')
        if offsets not in ({self._offsets} if self._offsets else {0, position}):
            raise DamageError("the footer points elsewhere than to the summary's offsets")
        if crc and crc != checksum(self.start, position + FOOTER_BYTES - 4):
            raise DamageError("the summary's checksum does not match")

    def disagreements(self, chunks: dict[int, ChunkFacts], found: Statistics) -> list[str]:
        """Say where index and statistics differ from what was found in the file."""
        notes = []
        if self.indices and self.indices != chunks:
            notes.append('the index names other chunks than there are')
        said = self.statistics
        # Writers differ in the times they state where there is no message.
        if said is not None and (said != found if found.messages else said.messages):
            notes.append(f'the statistics count {said.messages} messages, the file holds {found.messages}')
        return notes


def find_summary(tail: bytes, size: int) -> int | None:
    """Ask the footer where the summary begins.

    Args:
        tail: The last bytes of the file, at least 37.
        size: Of the file.

    Returns:
        The position; None where footer or end are damaged, or there is no summary.
    """
    footer = tail[-FOOTER_BYTES - len(MAGIC) :]
    try:
        opcode, length = record_head(footer)
    except DamageError:
        return None
    if (opcode, length) != (FOOTER, FOOTER_BYTES - RECORD_HEAD) or not footer.endswith(MAGIC):
        return None
    start = Fields(footer[RECORD_HEAD:]).number(8)
    return start if 0 < start < size else None
