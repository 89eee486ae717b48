"""Shared memory as Fast DDS leaves it: what killed processes held, and a port that was taken away.

In /dev/shm Fast DDS keeps, under names that begin with ``fastdds`` (``fastrtps`` before version 3), a segment
per process, ``…_ID``, for what it sends (with the profile for large images 67 MB), and ports on which it
listens, ``…_portNUMBER``. A file ``…_el`` beside either is held locked by the process as long as it lives:
what is not locked has no owner. A semaphore ``sem.…_portNUMBER_mutex`` guards the opening of a port.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import re
import struct
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOLDER = Path('/dev/shm')
SETTLED_S = 10.0
"""A younger file's process may be about to lock it."""
MOST_LOOKS = 15
_SEGMENT = re.compile('fast(dds|rtps)_[0-9a-f]{16}')
_PORT = re.compile(r'fast(?:dds|rtps)_port(\d+)')
_MAPPED = re.compile(r'([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ (\d+) +(\S*/)(\S+)(?: \(deleted\))?')
_STATE = struct.Struct('=7I')
"""Within a port, in Fast DDS 2 and 3: number, listeners, two timeouts, the first thrice the second, capacity,
listeners that wait, flags."""
_OK, _LISTENING = 1, 0b111


def remove_orphans(folder: Path = FOLDER) -> tuple[int, int]:
    """Remove the segments and ports that no process holds; return how many segments, and their bytes."""
    number = size = 0
    files = [file for file in folder.iterdir() if file.name[:4] == 'fast'] if folder.is_dir() else []
    for file in files:
        with suppress(OSError):  # another user's, or it went away just now
            if _SEGMENT.fullmatch(file.name.removesuffix('_el')) and file.name.endswith('_el'):
                with _unowned(file.with_name(file.name.removesuffix('_el'))) as segment:
                    bytes_held = segment.stat().st_size if segment.exists() else 0
                    segment.unlink(missing_ok=True)
                number, size = number + 1, size + bytes_held
    ports = [file for file in files if _PORT.fullmatch(file.name)]
    mapped = _mapped_by_all() if ports else set()
    for port in ports:
        guard = f'sem.{port.name}_mutex'
        if not {port.name, guard, _inode(guard)} & mapped:
            with suppress(OSError), _guarding(port, guard), _unowned(port):
                port.unlink()
                port.with_name(guard).unlink()
    return number, size


@contextmanager
def _unowned(file: Path) -> Iterator[Path]:
    """Hold the lock of a segment or port while it is removed, and remove the lock.

    Raises:
        OSError: Its process lives (BlockingIOError), or it is too young to tell.
    """
    path = file.with_name(f'{file.name}_el')
    if time.time() - (path if path.exists() else file).stat().st_mtime < SETTLED_S:
        raise BlockingIOError
    if not path.exists():
        yield file  # only ever written to
        return
    with path.open('rb') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield file
        path.unlink()


@contextmanager
def _guarding(port: Path, guard: str) -> Iterator[None]:
    """Keep every process from opening a port; raises an OSError where one is just doing so.

    Of a process that was killed meanwhile the semaphore stays taken, and maybe a port without content: every
    later process of that port would wait for the content for ever.
    """
    if port.parent != FOLDER or not port.with_name(guard).exists():
        yield
        return
    system = ctypes.CDLL(None, use_errno=True)
    system.sem_open.restype = ctypes.c_void_p
    semaphore = ctypes.c_void_p(system.sem_open(f'/{guard.removeprefix("sem.")}'.encode(), 0))
    if not semaphore:
        raise OSError(ctypes.get_errno(), guard)
    try:
        taken = system.sem_trywait(semaphore) == 0
        if not taken and _inode(guard) in _mapped_by_all(but=str(os.getpid())):
            raise BlockingIOError
        try:
            yield
        finally:
            if taken:
                system.sem_post(semaphore)
    finally:
        system.sem_close(semaphore)


def _mappings(process: str) -> Iterator[tuple[int, int, int, str]]:
    """Yield begin, end, inode and name of what a process has mapped of Fast DDS in /dev/shm."""
    for line in Path(f'/proc/{process}/maps').read_text(errors='replace').splitlines():
        if '/dev/shm/' in line and (match := _MAPPED.fullmatch(line)):
            begin, end, inode, _, name = match.groups()
            yield int(begin, 16), int(end, 16), int(inode), name


def _mapped_by_all(but: str = '') -> set[str | int]:
    """Return the names and inodes that any process has mapped which lets us see, ``but`` that of a number.

    Whoever made a semaphore has it mapped by the name that it had before it was complete.
    """
    found: set[str | int] = set()
    for process in Path('/proc').glob('[1-9]*'):
        with suppress(OSError):
            if process.name != but:
                found.update(*((name, inode) for *_, inode, name in _mappings(process.name)))
    return found


class Ports:
    """The ports on which this process listens, looked after.

    Fast DDS takes a port for dead whose process has stood still for a second, as on an overloaded machine.
    The sender then removes it and makes another, and so does the listener when it goes on. Where both do so
    at once, the port on which the listener has just begun may be removed: it then hears nothing of anybody on
    this machine, for ever. A port that is marked as not in order, Fast DDS makes anew.
    """

    def __init__(self) -> None:
        self._inodes: dict[str, int] = {}
        self._lost: dict[str, int] = {}  # and in how many looks one after the other

    def look(self, note: Callable[[str, int, str], None]) -> str:
        """Mend each port found removed, in this look and the one before; tell ``note``, as ``Camera`` does.

        To be called every second or so: a port that is being made anew is not there for a moment.

        Returns:
            A sentence on a port that is still gone after ``MOST_LOOKS``; else empty.
        """
        inodes = {name: _inode(name) for name in _listened_to()}  # but for one that is just being made anew
        if inodes == self._inodes:
            return ''
        self._inodes, mapped = inodes, list(_mappings('self'))
        held = {(name, inode) for *_, inode, name in mapped}
        lost = {name for name, inode in self._inodes.items() if (name, inode) not in held}
        self._lost = {name: self._lost.get(name, 0) + 1 for name in lost}
        if lost:
            self._inodes = {}  # look again
        for port, looks in self._lost.items():
            said = f'deaf to this machine: {port} in /dev/shm was removed, as of a process that stands still'
            if looks >= MOST_LOOKS:
                return said
            if looks > 1 and any(_mark(begin, end, port) for begin, end, _, name in mapped if name == port):
                note('cut_off', 1, f'{said}; listens anew')
        return ''


def _inode(name: str) -> int:
    try:
        return (FOLDER / name).stat().st_ino
    except FileNotFoundError:
        return 0


def _listened_to() -> set[str]:
    """Return the names of the ports whose locks this process holds."""
    names = set()
    for descriptor in Path('/proc/self/fd').iterdir():
        with suppress(OSError):
            path = str(descriptor.readlink()).removesuffix(' (deleted)')
            name = path.removeprefix(f'{FOLDER}/').removesuffix('_el')
            if path.endswith('_el') and _PORT.fullmatch(name):
                names.add(name)
    return names


def _mark(begin: int, end: int, name: str) -> bool:
    """Mark a port that is mapped there as not in order; return whether it was one that listens."""
    number = int(name.partition('_port')[2])
    memory = os.open('/proc/self/mem', os.O_RDWR)  # what is no longer mapped gives an error, no crash
    try:
        content = os.pread(memory, end - begin, begin)
        for place in range(0, len(content) - _STATE.size, 4):
            found, listeners, whole, third, capacity, waiting, flags = _STATE.unpack_from(content, place)
            plausible = found == number and 0 < third == whole // 3 and waiting <= listeners <= capacity
            if plausible and flags == _LISTENING:
                os.pwrite(memory, struct.pack('=I', flags & ~_OK), begin + place + _STATE.size - 4)
                return True
    except OSError:
        pass
    finally:
        os.close(memory)
    return False
