"""The rows on single pages of an SQLite file, without believing its tree.

After the file format's description, https://sqlite.org/fileformat2.html, sections 1.3 (header), 1.6 (pages)
and 2.1 (records).
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from vss_ros.recordings.salvage.compression import CHUNK_LIMIT, DamageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    Value = bytes | str | int | float | None

_LEAF: Final = 0x0D
"""First byte of a page that holds rows of a table."""
_FILE_HEADER: Final = 100
_USUAL_WIDTH: Final = 4096
_WIDTHS: Final = {2**power for power in range(9, 17)}
_INTEGERS: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
"""Bytes of the serial types that are whole numbers; 8 and 9 are the numbers 0 and 1."""


class Row(NamedTuple):
    """A row of some table."""

    number: int
    """Its rowid, which an ``INTEGER PRIMARY KEY`` is; that column itself is None."""
    values: list[Value]


class Pages:
    """A file as pages."""

    def __init__(self, file: BinaryIO) -> None:
        """Look at the header; where it is damaged the usual width of a page is assumed."""
        self.file = file
        file.seek(0)
        header = file.read(_FILE_HEADER).ljust(_FILE_HEADER, b'\0')
        width = int.from_bytes(header[16:18], 'big')
        self._width = {1: 65536}.get(width, width)
        if self._width not in _WIDTHS:
            self._width = _USUAL_WIDTH
        self._usable = self._width - (header[20] if header[20] <= 32 else 0)
        self._size = os.fstat(file.fileno()).st_size
        self.count = -(-self._size // self._width)
        """Pages of the file, the last of which may be cut off."""
        self.uses: Counter[int] = Counter()
        """How often a page was read as the continuation of a row: more than once is damage."""

    def rows(self, page: int) -> Iterator[tuple[int, Row]]:
        """Yield the rows on a page that are all there, with their cell's number.

        Args:
            page: Its number, from 1.
        """
        data, start = self._read(page), _FILE_HEADER if page == 1 else 0
        if len(data) < start + 8 or data[start] != _LEAF:
            return
        for cell in range(int.from_bytes(data[start + 3 : start + 5], 'big')):
            try:
                yield cell, self._row(data, start + 8 + 2 * cell)
            except DamageError:
                continue

    def row(self, page: int, cell: int) -> Row:
        """Read one row.

        Raises:
            DamageError: It is not all there.
        """
        return self._row(self._read(page), (_FILE_HEADER if page == 1 else 0) + 8 + 2 * cell)

    def _read(self, page: int) -> bytes:
        """Read a page; of the last one what is there."""
        self.file.seek((page - 1) * self._width)
        return self.file.read(self._width)[: self._usable]

    def _row(self, data: bytes, pointer: int) -> Row:
        """Read the row to which a pointer points."""
        position = int.from_bytes(data[pointer : pointer + 2], 'big')
        size, position = _varint(data, position)
        number, position = _varint(data, position)
        if size > min(self._size, CHUNK_LIMIT):
            raise DamageError('a row is longer than the file')
        most = self._usable - 35
        local = size
        if size > most:
            least = (self._usable - 12) * 32 // 255 - 23
            local = least + (size - least) % (self._usable - 4)
            local = local if local <= most else least
        payload = bytearray(data[position : position + local])
        if len(payload) != local:
            raise DamageError('a row is cut off')
        if size > local:
            self._continue(payload, size, data[position + local : position + local + 4])
        return Row(number, _values(bytes(payload)))

    def _continue(self, payload: bytearray, size: int, link: bytes) -> None:
        """Add what lies on overflow pages."""
        while len(payload) < size:
            page = int.from_bytes(link, 'big')
            data = self._read(page) if 1 < page <= self.count else b''
            if len(data) != self._usable:
                raise DamageError('a row goes on where there is no page')
            self.uses[page] += 1
            link = data[:4]
            payload += data[4 : 4 + size - len(payload)]
        if any(link):
            raise DamageError('a row goes on behind its end')


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Read a number of one to nine bytes; returns it and where the next field begins."""
    value = 0
    for index, byte in enumerate(data[position : position + 9]):
        if index == 8:
            return value << 8 | byte, position + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, position + index + 1
    raise DamageError('a number is cut off')


def _values(payload: bytes) -> list[Value]:
    """Read the columns of a record.

    Raises:
        DamageError: They do not fill it exactly, or a text is none.
    """
    end, position = _varint(payload, 0)
    types = []
    while position < end:
        kind, position = _varint(payload, position)
        types.append(kind)
    values = []
    for kind in types:
        width = (kind - 12) // 2 if kind >= 12 else _INTEGERS.get(kind, 8 if kind == 7 else 0)
        values.append(_value(kind, payload[position : position + width]))
        position += width
    if position != len(payload):
        raise DamageError("a row's columns do not fill it")
    return values


def _value(kind: int, data: bytes) -> Value:
    """Read a column; fractions, which bags do not have, come as their bytes."""
    if kind in _INTEGERS:
        return int.from_bytes(data, 'big', signed=True)
    if kind in {8, 9}:
        return kind - 8
    if kind < 12:
        return data if kind == 7 else None
    if kind % 2 == 0:
        return data
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DamageError('a text is not UTF-8') from error
