"""Reads and changes the header of a serialised message without decoding the rest."""

from __future__ import annotations

import struct
import time
from typing import Any

# CDR: four bytes that say how, then the first field; a header begins with its stamp, two 32-bit numbers.
_STAMP_AT = 4
_LITTLE_ENDIAN = 1
# After the stamp the length of frame_id, its end mark included, and its characters.
_FRAME_ID_AT = _STAMP_AT + 12


def has_header(message_type: Any) -> bool:
    """Say whether a message class begins with a std_msgs/Header, or with a stamp as foxglove_msgs do."""
    fields = message_type.get_fields_and_field_types()
    name, kind = next(iter(fields.items()), ('', ''))
    return kind == 'std_msgs/Header' or (name, kind) == ('timestamp', 'builtin_interfaces/Time')


def header_bytes(data: bytes) -> bytes:
    """Return the CDR bytes of a message's std_msgs/Header alone, which are its first ones.

    Args:
        data: CDR bytes of a message that begins with a header, or with the same fields as foxglove_msgs do.
    """
    layout = '<I' if data[1] & _LITTLE_ENDIAN else '>I'
    (length,) = struct.unpack_from(layout, data, _FRAME_ID_AT - 4)
    return bytes(data[: _FRAME_ID_AT + length])


class Restamper:
    """Moves stamps to the present with their distances divided by the rate; equal ones stay equal."""

    def __init__(self) -> None:
        """Start at nothing; :meth:`start_round` comes first."""
        self._start_ns = 0
        self._rate = 1.0
        self._first_ns: int | None = None

    def start_round(self, start_ns: int, rate: float) -> None:
        """Begin anew.

        Args:
            start_ns: When the round starts, on ``time.monotonic_ns``.
            rate: Speed of playing.
        """
        self._start_ns = time.time_ns() + start_ns - time.monotonic_ns()
        self._rate = rate
        self._first_ns = None

    def apply(self, data: bytes) -> bytes:
        """Return the message with its stamp moved.

        Args:
            data: CDR bytes of a message that begins with a header.
        """
        layout = '<iI' if data[1] & _LITTLE_ENDIAN else '>iI'
        seconds, nanoseconds = struct.unpack_from(layout, data, _STAMP_AT)
        stamp = seconds * 10**9 + nanoseconds
        self._first_ns = stamp if self._first_ns is None else self._first_ns
        moved = self._start_ns + round((stamp - self._first_ns) / self._rate)
        return data[:_STAMP_AT] + struct.pack(layout, *divmod(moved, 10**9)) + data[_STAMP_AT + 8 :]
