"""A node of this package as a process of its own, with a log file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

from vss_ros.errors import VssError
from vss_ros.resources import large_image_environment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STOP_SECONDS = 300.0
"""For ending after SIGINT; on a starved machine the frame in hand and the clean-up take their time."""
LOG_LINES = 8
"""Of a log's end that an error shows."""


class Child:
    """A process of one module of ``vss_ros.node``; leaving the context stops it, whatever happened."""

    def __init__(self, module: str, words: Sequence[str], folder: Path) -> None:
        """Start it with the profile that large images need.

        Args:
            module: Its name in ``vss_ros.node``; also that of the log.
            words: Its command line.
            folder: Where the log goes.
        """
        self.name = module
        self.log = folder / f'{module}.log'
        environment = os.environ | large_image_environment(os.environ) | {'PYTHONUNBUFFERED': '1'}
        command = [sys.executable, '-m', f'vss_ros.node.{module}', *words]
        with self.log.open('w') as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._end()

    def poll(self) -> int | None:
        """Return the exit status, None while it runs."""
        return self._process.poll()

    def says(self, text: str) -> bool:
        """Tell whether a text is in the log."""
        return text in self.log.read_text(errors='replace')

    def check(self, doing: str) -> None:
        """Raise if it has ended.

        Args:
            doing: What was going on, for the message.

        Raises:
            VssError: It has ended.
        """
        if self.poll() is not None:
            raise self.failure(f'ended {doing}')

    def wait_for(self, text: str, seconds: float) -> None:
        """Wait until the log holds a text.

        Raises:
            VssError: It does not, or the process has ended.
        """
        deadline = time.monotonic() + seconds
        while not self.says(text):
            self.check(f'before it said {text!r}')
            if time.monotonic() > deadline:
                raise self.failure(f'did not say {text!r} within {seconds:.0f} s')
            time.sleep(0.1)

    def stop(self) -> None:
        """Ask it to end and wait.

        Raises:
            VssError: It did not end by itself, or not with exit status 0.
        """
        if not self._end():
            raise self.failure(f'did not end within {STOP_SECONDS:.0f} s of SIGINT')
        if self._process.returncode:
            raise self.failure(f'ended with exit status {self._process.returncode}')

    def failure(self, what: str) -> VssError:
        """Return an error with the end of the log."""
        lines = self.log.read_text(errors='replace').splitlines()[-LOG_LINES:]
        return VssError(
            f'{self.name} {what}; the end of {self.log}:' + ''.join(f'\n  {line}' for line in lines)
        )

    def _end(self) -> bool:
        """End it, by force where need be; returns whether it needed none."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return False
        return True
