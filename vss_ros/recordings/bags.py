"""rosbag2 bags without ROS: message types, a reader with clear errors, a writer that leaves no halves."""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from zlib import crc32

from mcap.data_stream import RecordBuilder
from mcap.records import Chunk, DataEnd, Footer
from mcap.stream_reader import MAGIC_SIZE, StreamReader, get_chunk_data_stream
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from vss_ros.errors import VssError
from vss_ros.files import NO_ROOM, whole_folder
from vss_ros.recordings.checked_bag import (
    METADATA,
    STORAGE_SUFFIXES,
    check_tables,
    is_storage,
    is_unfinished,
    read_metadata,
)
from vss_ros.resources import resource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Protocol, Self

    from rosbags.interfaces import Connection
    from rosbags.typesys.store import Typestore

    class BagReader(Protocol):
        """What reads a bag: rosbags' reader or a ``CheckedBag``."""

        @property
        def path(self) -> Any:
            """What was opened."""

        @property
        def connections(self) -> list[Connection]:
            """Topics."""

        def messages(self, connections: list[Connection], /) -> Iterator[tuple[Connection, int, bytes]]:
            """Yield connection, bag time and CDR bytes."""


Storage = Literal['mcap', 'sqlite3']

IMAGE: Final = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE: Final = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO: Final = 'sensor_msgs/msg/CameraInfo'
COMPRESSED_VIDEO: Final = 'foxglove_msgs/msg/CompressedVideo'
FFMPEG_PACKET: Final = 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket'
CAMERA_TYPES: Final = frozenset({IMAGE, COMPRESSED_IMAGE, COMPRESSED_VIDEO, FFMPEG_PACKET})
"""Message types that hold pictures of a camera."""
KEY_FRAME_DECISION: Final = 'vss_ros/msg/KeyFrameDecision'
HEADER: Final = 'std_msgs/msg/Header'
HEADER_TOPIC: Final = '/header'
"""Ending of the topic that holds the headers of messages which are not kept whole."""

# Of these packages only these two messages are of interest, and neither needs to be installed.
_FOREIGN: Final = {
    COMPRESSED_VIDEO: 'builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format',
    FFMPEG_PACKET: 'std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\n'
    'uint8 flags\nbool is_bigendian\nuint8[] data',
}


@cache
def message_types() -> Typestore:
    """Return the ROS 2 message types known here: the standard ones, this package's own, two of videos.

    Raises:
        FileNotFoundError: The package's message definition is missing.
    """
    store = get_typestore(Stores.ROS2_KILTED)
    definition = resource('msg', 'KeyFrameDecision.msg').read_text(encoding='utf-8')
    store.register(get_types_from_msg(definition, KEY_FRAME_DECISION))
    for name, text in _FOREIGN.items():
        store.register(get_types_from_msg(text, name))
    return store


def deserialise(data: bytes, msgtype: str) -> Any:
    """Read a message's CDR bytes into an object with the message's fields; arrays are NumPy's.

    Raises:
        VssError: The bytes are damaged or the type is not known here.
    """
    try:
        return message_types().deserialize_cdr(data, msgtype)
    except Exception as error:  # damaged bytes make rosbags raise many kinds
        raise VssError(f'expected a whole {msgtype}, got {len(data)} other bytes: {error!r}') from error


def is_bag(path: Path) -> bool:
    """Say whether a path looks like a rosbag2 bag: its folder, or one bare ``.mcap`` or ``.db3`` file.

    A folder that a killed recorder left without metadata.yaml is one too.
    """
    if path.is_dir():
        return (path / METADATA).is_file() or is_unfinished(path)
    return path.is_file() and is_storage(path.name)


@contextmanager
def open_bag(path: Path) -> Iterator[Reader]:
    """Open a bag folder, or a bare ``.mcap`` or ``.db3`` file; yields the reader of the rosbags library.

    Raises:
        VssError: It is missing, incomplete or no bag, or names files outside of its folder.
    """
    try:
        if path.is_dir():
            read_metadata(path)
        for file in path.glob('*.db3') if path.is_dir() else [path] if path.suffix == '.db3' else []:
            with closing(sqlite3.connect(f'{file.absolute().as_uri()}?mode=ro', uri=True)) as database:
                check_tables(database)
        reader = Reader(path)
        reader.open()
    except VssError:
        raise
    except Exception as error:  # a damaged file raises many kinds, struct.error among them
        raise _damaged(path, error) from error
    try:
        yield reader
    finally:
        reader.close()


def read_messages(
    reader: BagReader, connections: list[Connection]
) -> Iterator[tuple[Connection, int, bytes]]:
    """Yield connection, bag time in nanoseconds and CDR bytes of one or more topics, by bag time.

    Raises:
        VssError: The file is damaged from here on.
    """
    messages = reader.messages(connections)
    while True:
        try:
            message = next(messages)
        except StopIteration:
            return
        except Exception as error:  # also zstd's, lz4's and sqlite3's own
            raise _damaged(Path(str(reader.path)), error) from error
        yield message


def _damaged(path: Path, error: Exception) -> VssError:
    return VssError(
        f'expected a readable rosbag2 bag (a folder with metadata.yaml, a .mcap or a .db3), got {path}: '
        f'{error or type(error).__name__}; mend it by `mcap recover` or `ros2 bag reindex`, or copy the '
        f'frames that can be had by `vss bag make`'
    )


def qos(*, latched: bool = False, reliable: bool = True, depth: int = 5) -> Qos:
    """Describe a publisher's quality of service for a bag; ``latched`` is ROS 2's transient local."""
    forever = QosTime(9223372036, 854775807)
    return Qos(
        QosHistory.KEEP_LAST,
        depth,
        QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        forever,
        forever,
        QosLiveliness.AUTOMATIC,
        forever,
        avoid_ros_namespace_conventions=False,
    )


class BagWriter:
    """Writes a bag beside its target and moves it there when it is whole.

    Use as a context manager. Leaving normally puts the bag in place; leaving by an exception removes what was
    written. MCAP chunks are compressed by zstd, which every rosbag2 reader undoes by itself, and every byte
    of an MCAP file is under a checksum.
    """

    def __init__(
        self, target: Path, *, storage: Storage = 'mcap', overwrite: bool = False, keep: bool = False
    ) -> None:
        """Prepare; an existing bag is replaced only where asked for, and once the new one is whole.

        With ``keep`` a disk that is full leaves what was written as an unfinished bag.

        Raises:
            VssError: The target exists and may not be replaced, or is not a bag alone.
        """
        # What an unfinished recording holds is not replaced: it may be the only copy.
        whole = is_bag(target) and (target.is_file() or (target / METADATA).is_file())
        if target.exists() and not (overwrite and whole):
            remedy = 'overwrite it explicitly or choose another' if whole else 'choose another'
            raise VssError(f'expected a new folder for the bag, got {target}, which exists; {remedy}')
        self.target = target.absolute()
        self.counts: dict[str, int] = {}
        """Messages written so far by topic."""
        if target.is_dir() and (others := [file.name for file in target.iterdir() if not _of_bag(file)]):
            raise VssError(f'expected nothing but a bag in {target}, got {others[0]}; choose another folder')
        self._storage, self._keep = storage, keep
        self._full: OSError | None = None
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = stack.enter_context(whole_folder(self.target, keep=self._keep, file=True))
            plugin = StoragePlugin.MCAP if self._storage == 'mcap' else StoragePlugin.SQLITE3
            self._writer = Writer(self._folder, version=9, storage_plugin=plugin)
            if plugin is StoragePlugin.MCAP:
                self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            stack.push(self._finish)
            self._writer.open()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        if self._full is not None:
            raise VssError(
                f'{self.target} ends early: {self._full.strerror}; make room, then copy what came before by '
                '`vss bag make`'
            ) from self._full

    def _finish(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        """Close the bag; returns whether an error ends here, for what was written is kept."""
        try:
            if error is None:
                self._writer.close()
                for file in self._folder.glob('*.mcap'):
                    _seal(file)
                return False
        except (OSError, sqlite3.Error) as failure:
            error = failure
        with suppress(OSError):
            self._writer.abort()
        if self._keep and isinstance(error, OSError) and error.errno in NO_ROOM:
            self._full = error
            return True
        if isinstance(error, sqlite3.Error):
            raise VssError(f'{self.target} cannot be written: {error}; is the disk full?') from error
        if kind is None:
            raise error
        return False

    def add_topic(self, topic: str, msgtype: str, profile: Qos | None = None) -> None:
        """Announce a topic, by its absolute name; needed once before its first message.

        ``profile`` is the quality of service a player offers, reliable and volatile by default.

        Raises:
            VssError: The type's definition is not known here.
        """
        types = message_types()
        if msgtype not in types.fielddefs:
            raise VssError(f'expected a known message type on {topic}, got {msgtype}; leave this topic out')
        self._connections[topic] = self._writer.add_connection(
            topic, msgtype, typestore=types, offered_qos_profiles=[profile or qos()]
        )
        self.counts[topic] = 0

    def write(self, topic: str, time_ns: int, message: Any) -> None:
        """Write a message, or its CDR bytes, on a topic that was announced, with its bag time."""
        connection = self._connections[topic]
        if not isinstance(message, (bytes, bytearray, memoryview)):
            message = message_types().serialize_cdr(message, connection.msgtype)
        self._writer.write(connection, time_ns, message)
        self.counts[topic] += 1


def _of_bag(file: Path) -> bool:
    return file.name == METADATA or file.suffix in STORAGE_SUFFIXES


def _seal(path: Path) -> None:
    """Fill in the checksums of chunks, data and summary; rosbags writes zeros, which mean none.

    With them a flipped bit anywhere in the file, which rosbags has closed, is noticed. It keeps its size.
    """
    with path.open('r+b') as file:
        crc = crc32(file.read(MAGIC_SIZE))
        for record in StreamReader(file, skip_magic=True, emit_chunks=True).records:
            if isinstance(record, Chunk):
                stream, size = get_chunk_data_stream(record)
                record.uncompressed_crc = crc32(stream.read(size))
            elif isinstance(record, DataEnd):
                record.data_section_crc = crc
            builder = RecordBuilder()
            record.write(builder)
            blob = builder.end()  # type: ignore[no-untyped-call]
            if isinstance(record, Footer):
                blob = blob[:-4] + crc32(blob[:-4], crc).to_bytes(4, 'little')
            file.seek(-len(blob), os.SEEK_CUR)
            file.write(blob)
            # The summary, which begins behind the end of the data, has a checksum of its own.
            crc = 0 if isinstance(record, DataEnd) else crc32(blob, crc)
