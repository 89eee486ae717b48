"""The checksums of a Matroska file, which FFmpeg writes into each cluster of packets and nobody reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final, Self
from zlib import crc32

if TYPE_CHECKING:
    from pathlib import Path

SEGMENT: Final = 0x18538067
CLUSTER: Final = 0x1F43B675
_CRC: Final = b'\xbf\x84'
"""The beginning of a checksum of four bytes, which comes first in what it is of."""
_LARGEST: Final = 2**28
"""Bytes of a cluster that is checked: FFmpeg's have at most five million."""


class Clusters:
    """Tells damaged clusters, going through the file as far as it is asked about."""

    def __init__(self, path: Path) -> None:
        """Open the file; close it by ``close``."""
        self._file: BinaryIO = path.open('rb')
        self._size = path.stat().st_size
        self._next: int | None = 0
        """Where the next element begins, None where nothing further can be read."""
        self._wrong: tuple[int, int] = (0, 0)

    def is_damaged(self, position: int) -> bool:
        """Say whether a byte, not before the one asked about last, lies in a cluster of another checksum."""
        while self._next is not None and self._next <= position:
            self._check()
        return self._wrong[0] <= position < self._wrong[1]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self) -> None:
        """Go past an element, into the segment and past what else there is."""
        start = self._next or 0
        self._file.seek(start)
        kind, _ = self._number(keep_marker=True)
        size, unknown = self._number()
        begin = self._file.tell()
        if not kind or not size or (unknown and kind != SEGMENT):
            self._next = None
        elif kind == SEGMENT:
            self._next = begin
        else:
            self._next = begin + size if begin + size <= self._size else None
            if kind == CLUSTER and size <= _LARGEST and self._file.read(2) == _CRC:
                stated, body = self._file.read(4), self._file.read(size - 6)
                if len(body) == size - 6 and crc32(body) != int.from_bytes(stated, 'little'):
                    self._wrong = start, begin + size

    def _number(self, *, keep_marker: bool = False) -> tuple[int, bool]:
        """Read a number of variable length, 0 where there is none; and whether all its bits are set."""
        first = self._file.read(1)
        if not first or not first[0]:
            return 0, False
        length = 9 - first[0].bit_length()
        value = int.from_bytes(first + self._file.read(length - 1), 'big')
        bits = (1 << 7 * length) - 1
        return (value if keep_marker else value & bits), value & bits == bits
