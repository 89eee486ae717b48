"""A real browser, driven over its debugging pipe: what it shows, says and asks for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from base64 import b64decode
from select import select
from time import monotonic
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome')
PATIENCE = 90.0
"""Seconds for one answer, on a machine that does other things too."""
LAUNCHER = """
import os, sys
to_browser, from_browser = (os.dup(int(text)) for text in sys.argv[1:3])
os.dup2(to_browser, 3), os.dup2(from_browser, 4)
os.set_inheritable(3, True), os.set_inheritable(4, True)
os.execvp(sys.argv[3], sys.argv[3:])
"""
"""The pipe's ends are to be 3 and 4 in the browser."""


def installed_browser() -> str | None:
    """Return the program of a Chromium, None where there is none."""
    return next((found for found in map(shutil.which, NAMES) if found), None)


class Browser:
    """One page in a headless Chromium that keeps nothing and reaches no network.

    Args:
        program: The browser.
        profile: An empty folder for its own files.
        size: Width and height of the window, CSS pixels.
        dark: Whether the user prefers dark pages.

    """

    def __init__(self, program: str, profile: Path, size: tuple[int, int], *, dark: bool = False) -> None:
        """Start it."""
        options = (
            '--headless', '--remote-debugging-pipe', '--no-sandbox', '--disable-gpu',
            '--disable-dev-shm-usage', '--no-first-run', '--hide-scrollbars',
            '--host-resolver-rules=MAP * ~NOTFOUND',
            f'--user-data-dir={profile}',
        )  # fmt: skip
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()
        command = [sys.executable, '-c', LAUNCHER, str(to_read), str(to_write), program, *options]
        self._process = subprocess.Popen(
            command, pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(to_read)
        os.close(to_write)
        self._number, self._rest, self._session = 0, b'', ''
        self.complaints: list[str] = []
        """Errors and warnings that the page's console got."""
        self.requests: list[str] = []
        """Addresses that the page asked for, data in the page itself left out."""
        target = self._call('Target.createTarget', url='about:blank')['targetId']
        self._session = self._call('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self._call(f'{domain}.enable')
        self._call(
            'Emulation.setDeviceMetricsOverride',
            width=size[0],
            height=size[1],
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}
        self._call('Emulation.setEmulatedMedia', features=[scheme])

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def open(self, file: Path) -> None:
        """Load a page from a file, and wait until all of it is there."""
        self._call('Page.navigate', url=file.resolve().as_uri())
        self.evaluate(
            'new Promise(done => document.readyState === "complete" ? done() '
            ': addEventListener("load", () => done()))'
        )

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        answer = self._call('Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True)
        assert 'exceptionDetails' not in answer, answer
        return answer['result'].get('value')

    def screenshot(self) -> NDArray[np.uint8]:
        """Return what the window shows, BGR."""
        png = b64decode(self._call('Page.captureScreenshot', format='png')['data'])
        return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), np.uint8)

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {'id': self._number, 'method': method, 'params': parameters}
        if self._session:
            message['sessionId'] = self._session
        os.write(self._to, json.dumps(message).encode() + b'\0')
        until = monotonic() + PATIENCE
        while True:
            answer = self._next(until)
            if answer.get('id') == self._number:
                assert 'error' not in answer, f'{method}: {answer["error"]}'
                result: dict[str, Any] = answer['result']
                return result
            self._note(answer.get('method', ''), answer.get('params', {}))

    def _next(self, until: float) -> dict[str, Any]:
        """Return the next message of the browser."""
        while b'\0' not in self._rest:
            ready, _, _ = select([self._from], [], [], max(until - monotonic(), 0))
            data = os.read(self._from, 1 << 20) if ready else b''
            assert data, f'the browser said nothing more; it ended with {self._process.poll()}'
            self._rest += data
        text, _, self._rest = self._rest.partition(b'\0')
        message: dict[str, Any] = json.loads(text)
        return message

    def _note(self, event: str, values: dict[str, Any]) -> None:
        if event == 'Runtime.exceptionThrown':
            self.complaints.append(str(values['exceptionDetails']))
        elif event == 'Log.entryAdded' and values['entry']['level'] in {'error', 'warning'}:
            self.complaints.append(str(values['entry']))
        elif event == 'Runtime.consoleAPICalled':
            self.complaints.append(str(values['args']))
        elif event == 'Network.requestWillBeSent' and not values['request']['url'].startswith('data:'):
            self.requests.append(values['request']['url'])
