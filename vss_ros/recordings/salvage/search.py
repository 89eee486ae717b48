"""Finding the next readable record of an MCAP file behind a damaged place, byte by byte."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from vss_ros.recordings.salvage.compression import DamageError
from vss_ros.recordings.salvage.records import (
    DATA_END,
    MESSAGE,
    RECORD_HEAD,
    chunk_head,
    message,
    record_head,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    ReadAt = Callable[[int, int], bytes]

_WINDOW: Final = 2**20
_OVERLAP: Final = 96
"""More than any of the patterns spans."""
# A chunk's opcode, its length (below 2^40), start, end, size and checksum, and the name of its compression.
_A_CHUNK: Final = re.compile(rb'(?=\x06[\s\S]{5}\x00{3}[\s\S]{28}(?:\x00{4}|\x03\x00{3}lz4|\x04\x00{3}zstd))')
# A message's opcode and its length, below 2^32.
_A_MESSAGE: Final = re.compile(rb'(?=\x05[\s\S]{4}\x00{4})')
_DAY: Final = 86_400 * 10**9


def find_chunk(at: ReadAt, begin: int, size: int) -> int | None:
    """Find the next chunk.

    A chunk states its size twice, in bytes that must agree, so that nothing else looks like one.

    Args:
        at: Reads bytes of the file: position, count.
        begin: Where to begin.
        size: Of the file.

    Returns:
        Where the chunk's record begins; None where there is none.
    """
    return _find(at, begin, size, _A_CHUNK, lambda position: _is_chunk(at, position))


def find_message(
    at: ReadAt, begin: int, size: int, is_known: Callable[[int], bool], near_ns: int
) -> int | None:
    """Find the next message that lies outside of chunks.

    Args:
        at: Reads bytes of the file: position, count.
        begin: Where to begin.
        size: Of the file.
        is_known: Whether a channel was announced.
        near_ns: Bag time of an earlier message; one within a day of it is looked for, and another record must
            follow it, because a picture may hold any bytes.

    Returns:
        Where the message's record begins; None where there is none.
    """

    def fits(position: int) -> bool:
        _, length = record_head(at(position, RECORD_HEAD))
        after = position + RECORD_HEAD + length
        try:
            found = message(memoryview(at(position + RECORD_HEAD, 22)), position)
            opcode, following = record_head(at(after, RECORD_HEAD))
        except DamageError:
            return False
        return (
            is_known(found.channel)
            and abs(found.time_ns - near_ns) < _DAY
            and MESSAGE <= opcode <= DATA_END
            and after + RECORD_HEAD + following <= size
        )

    return _find(at, begin, size, _A_MESSAGE, fits)


def _find(
    at: ReadAt, begin: int, size: int, pattern: re.Pattern[bytes], fits: Callable[[int], bool]
) -> int | None:
    """Try a pattern at every position."""
    for start in range(begin, size, _WINDOW):
        for match in pattern.finditer(at(start, _WINDOW + _OVERLAP)):
            if match.start() < _WINDOW and fits(start + match.start()):
                return start + match.start()
    return None


def _is_chunk(at: ReadAt, position: int) -> bool:
    """Whether a chunk's own sizes agree."""
    head = at(position, RECORD_HEAD + 64)
    try:
        chunk_head(head[RECORD_HEAD:], record_head(head)[1])
    except DamageError:
        return False
    return True
