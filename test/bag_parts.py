"""Small bags of several kinds, what is in them by another library's reading, and ways to damage them."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from mcap.reader import make_reader
from mcap.records import Chunk, Message
from mcap.stream_reader import StreamReader, breakup_chunk
from mcap.writer import CompressionType, Writer

from vss_ros.errors import VssError
from vss_ros.recordings.bags import IMAGE, BagWriter, Storage, message_types
from vss_ros.recordings.checked_bag import open_checked
from vss_ros.recordings.messages import raw_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Recorded = tuple[str, int, bytes]
"""Topic, bag time, CDR bytes."""
TOPICS = ('/camera/image_raw', '/camera/mask')


class Part(NamedTuple):
    """A chunk of a file."""

    start: int
    end: int
    messages: set[Recorded]


def images(count: int, size: tuple[int, int], noise: int = 4096) -> list[Recorded]:
    """Make images and masks of random pixels which repeat after ``noise`` bytes."""
    made = []
    for i in range(count):
        for topic, channels in zip(TOPICS, (3, 1), strict=True):
            shape = (*size, channels)[: 3 if channels == 3 else 2]
            random = np.random.default_rng(2 * i + channels).integers(0, 11, noise, np.uint8)
            message = raw_image(np.resize(random, shape), 10**9 + i * 10**8, 'camera')
            data = bytes(message_types().serialize_cdr(message, IMAGE))
            made.append((topic, 10**9 + i * 10**8, data))
    return made


def write_bag(target: Path, storage: Storage = 'mcap', messages: list[Recorded] | None = None) -> Path:
    """Write a bag by the package's own writer; returns its folder. By default an MCAP has several chunks."""
    with BagWriter(target, storage=storage) as bag:
        for topic in TOPICS:
            bag.add_topic(topic, IMAGE)
        for topic, time_ns, data in messages or images(8, (400, 500)):
            bag.write(topic, time_ns, data)
    return target


def write_foreign(
    path: Path,
    compression: str = 'zstd',
    *,
    chunks: bool = True,
    checksum: bool = False,
    shuffled: bool = False,
) -> Path:
    """Write a bare MCAP with small chunks by Foxglove's writer, with the checksums of `ros2 bag record`.

    Args:
        path: The file.
        compression: ``none``, ``lz4`` or ``zstd``.
        chunks: Whether there are chunks at all.
        checksum: Of the data section, too.
        shuffled: Write the messages in another order than that of time.
    """
    kind = {'none': CompressionType.NONE, 'lz4': CompressionType.LZ4, 'zstd': CompressionType.ZSTD}[
        compression
    ]
    definition, _ = message_types().generate_msgdef(IMAGE, ros_version=2)
    with path.open('wb') as file:
        writer = Writer(file, 8192, kind, use_chunking=chunks, enable_data_crcs=checksum)
        writer.start('ros2', 'test')
        schema = writer.register_schema(IMAGE, 'ros2msg', definition.encode())
        channels = {topic: writer.register_channel(topic, 'cdr', schema) for topic in TOPICS}
        messages = images(8, (20, 64), 200)
        for number in np.random.default_rng(0).permutation(16).tolist() if shuffled else range(16):
            topic, time_ns, data = messages[number]
            writer.add_message(channels[topic], time_ns, data, time_ns, number)
        writer.finish()  # type: ignore[no-untyped-call]
    return path


def contents(blob: bytes) -> set[Recorded]:
    """Read a whole MCAP by Foxglove's reader, with every checksum there is."""
    reader = make_reader(BytesIO(blob), validate_crcs=True)
    return {(channel.topic, message.log_time, message.data) for _, channel, message in reader.iter_messages()}


def parts(blob: bytes) -> tuple[list[Part], int]:
    """Return the chunks of an MCAP, and where its summary begins, by Foxglove's reader."""
    summary = make_reader(BytesIO(blob)).get_summary()
    assert summary is not None
    chunks = [
        record
        for record in StreamReader(BytesIO(blob), emit_chunks=True).records
        if isinstance(record, Chunk)
    ]
    assert len(chunks) == len(summary.chunk_indexes) > 2
    found = []
    for index, chunk in zip(summary.chunk_indexes, chunks, strict=True):
        messages = {
            (summary.channels[record.channel_id].topic, record.log_time, record.data)
            for record in breakup_chunk(chunk, validate_crc=True)
            if isinstance(record, Message)
        }
        start = index.chunk_start_offset
        found.append(Part(start, start + index.chunk_length, messages))
    return found, int.from_bytes(blob[-28:-20], 'little')


def recovered(path: Path) -> set[Recorded]:
    """Read what there is of a bag; nothing where it is refused."""
    try:
        with open_checked(path) as bag:
            read = [(c.topic, time_ns, bytes(data)) for c, time_ns, data in bag.messages(bag.connections)]
            assert len(read) == bag.message_count
            return set(read)
    except VssError:
        return set()


class Damage(NamedTuple):
    """A damaged file."""

    blob: bytes
    ranges: list[tuple[int, int]]
    """What of the original is damaged or gone."""

    def spares(self, start: int, end: int) -> bool:
        """Whether nothing of a range of the original is damaged."""
        return all(last <= start or end <= first for first, last in self.ranges)


def _cut(rng: np.random.Generator, blob: bytes) -> Damage:
    size = int(rng.integers(len(blob)))
    return Damage(blob[:size], [(size, len(blob))])


def _flip(rng: np.random.Generator, blob: bytes) -> Damage:
    position = int(rng.integers(len(blob)))
    changed = bytearray(blob)
    changed[position] ^= 1 << int(rng.integers(8))
    return Damage(bytes(changed), [(position, position + 1)])


def _flips(rng: np.random.Generator, blob: bytes) -> Damage:
    changed, positions = bytearray(blob), rng.integers(len(blob), size=int(rng.integers(2, 6))).tolist()
    for position in set(positions):
        changed[position] ^= int(rng.integers(1, 256))
    return Damage(bytes(changed), [(position, position + 1) for position in set(positions)])


def _burst(rng: np.random.Generator, blob: bytes) -> Damage:
    start = int(rng.integers(len(blob) - 1))
    end = min(len(blob), start + int(rng.integers(1, 512)))
    filling = bytes(end - start) if rng.integers(2) else rng.bytes(end - start)
    return Damage(blob[:start] + filling + blob[end:], [(start, end)])


def _hole(rng: np.random.Generator, blob: bytes) -> Damage:
    start = int(rng.integers(len(blob) - 1))
    end = min(len(blob), start + int(rng.integers(1, 2048)))
    return Damage(blob[:start] + blob[end:], [(start, end)])


def _flip_and_cut(rng: np.random.Generator, blob: bytes) -> Damage:
    flipped = _flip(rng, blob)
    size = int(rng.integers(len(blob)))
    return Damage(flipped.blob[:size], [*flipped.ranges, (size, len(blob))])


WAYS: tuple[Callable[[np.random.Generator, bytes], Damage], ...] = (
    _cut, _flip, _flips, _burst, _hole, _flip_and_cut,
)  # fmt: skip
"""Cuts and flips come as often as all others together."""


def damage(rng: np.random.Generator, blob: bytes) -> Damage:
    """Damage a file in a random way and place, for certain."""
    way = WAYS[int(rng.integers(2))] if rng.integers(2) else WAYS[int(rng.integers(2, len(WAYS)))]
    while (damaged := way(rng, blob)).blob == blob:
        pass
    return damaged
