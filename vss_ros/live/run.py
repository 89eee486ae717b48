"""One live run: starts a real node, plays a recording to it and records everything that it publishes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Self

from std_srvs.srv import Trigger

from vss_ros.errors import VssError
from vss_ros.live.observer import Observer, ask, graph
from vss_ros.live.received import Received
from vss_ros.node.intake import TRANSPORTS
from vss_ros.node.shared_memory import remove_orphans
from vss_ros.recordings.bags import BagWriter
from vss_ros.resources import large_image_environment, resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from vss_ros.live.observer import LiveRun


EXECUTABLES = {
    'segmentation_node': 'vss_ros.node.main',
    'bag_player': 'vss_ros.live.player',
    'timed_node': 'vss_ros.live.timed_node',
    'still_camera': 'vss_ros.live.still_camera',
    'ticker': 'vss_ros.live.ticker',
}
"""Modules of the processes that a run starts, by the names of their logs."""
QUIET_DOMAIN = 91
"""ROS domain used where none is set: what is played here must not meet a robot's own /segmentation."""
WITH_PARENT = """
import ctypes, runpy, sys
ctypes.CDLL(None).prctl(1, 2)  # SIGINT where the parent is killed, which could not end it then
runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)
"""
START_SECONDS = 300.0
"""Time to load a model, on a busy machine."""
STOP_SECONDS = 300.0
"""Time to end after SIGINT, on a busy machine: the frame in hand is finished first."""
LOG_LINES = 8
"""How many of a log's last lines an error shows."""
BAG = 'bag'
"""Name of the recorded bag."""


class Child:
    """One of ``EXECUTABLES`` as a process of its own; leaving the context stops it in any case.

    Its log is ``<name>.log`` in the folder; ``more`` are variables of its environment.
    """

    def __init__(
        self, name: str, words: Sequence[str], folder: Path, more: Mapping[str, str] | None = None
    ) -> None:
        self.name, self.log = name, folder / f'{name}.log'
        # The profile that large images need.
        environment = os.environ | large_image_environment(os.environ) | {'PYTHONUNBUFFERED': '1'}
        environment |= more or {}
        command = [sys.executable, '-c', WITH_PARENT, EXECUTABLES[name], *words]
        with self.log.open('w') as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def poll(self) -> int | None:
        """Return the exit status, None while it runs."""
        return self._process.poll()

    def check(self, doing: str) -> None:
        """Raise a VssError if it has ended, which says what was going on."""
        if self.poll() is not None:
            raise self.failure(f'ended {doing}')

    def wait_for(self, text: str, seconds: float) -> None:
        """Wait until the log holds a text; raise a VssError if it does not, or the process has ended."""
        deadline = time.monotonic() + seconds
        while text not in self.log.read_text(errors='replace'):
            self.check(f'before it said {text!r}')
            if time.monotonic() > deadline:
                raise self.failure(f'did not say {text!r} within {seconds:.0f} s')
            time.sleep(0.1)

    def stop(self) -> None:
        """Ask it to end and wait; raise a VssError if it did not by itself, or not with exit status 0."""
        if not self._end():
            raise self.failure(f'did not end within {STOP_SECONDS:.0f} s of SIGINT')
        if self._process.returncode:
            raise self.failure(f'ended with exit status {self._process.returncode}')

    def failure(self, what: str) -> VssError:
        """Return an error with the end of the log."""
        lines = self.log.read_text(errors='replace').splitlines()[-LOG_LINES:]
        return VssError('\n  '.join([f'{self.name} {what}; the end of {self.log}:', *lines]))

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


def stay_apart() -> None:
    """Unless the environment says otherwise, use a domain without robots and stay on this machine."""
    os.environ.setdefault('ROS_DOMAIN_ID', str(QUIET_DOMAIN))
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    remove_orphans()


def play(run: LiveRun, folder: Path, on_image: Callable[[], object] | None = None) -> Received:
    """Play until the end and until the node has dealt with everything; writes ``bag`` and logs.

    Args:
        run: What to play.
        folder: For the recorded bag and the processes' logs; made where it is missing.
        on_image: Called for each image that a subscriber receives.

    Raises:
        VssError: A process failed, with the end of its log; or the graph is not as it should be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(_stopping_by_signal())
        node = None
        if not run.attach:
            node = stack.enter_context(Child('segmentation_node', _node_words(run), folder))
            node.wait_for('waiting for images', START_SECONDS)
        bag = stack.enter_context(BagWriter(folder / BAG, overwrite=True))
        executor = stack.enter_context(graph())
        alive = (lambda: None) if node is None else (lambda: node.check('while images were played'))
        observer = Observer(run, bag, executor, check=alive, on_image=on_image)
        stack.callback(observer.finish)
        observer.wait_until_ready()
        if node is None:
            ask(observer, Trigger, f'{run.node}/reset')
        before = observer.counters
        sent = _play(run, observer, folder)
        observer.settle()
        if node is not None:
            node.stop()
        counters = {name: count - before.get(name, 0) for name, count in observer.counters.items()}
    return Received(folder / BAG, run.topic, run.node, sent, counters)


def _play(run: LiveRun, observer: Observer, folder: Path) -> int:
    words = [str(run.source), '--wait-subscribers', '2', '--rate', str(run.rate), '--fps', str(run.fps)]
    words += ['--topics', run.camera.name] if run.only_camera else []
    words += ['--salvage'] if run.salvage else []
    words += ['--ros-args', '-r', f'{run.camera.name}:={run.topic}'] if run.namespace else []
    with Child('bag_player', words, folder) as player:
        while player.poll() is None:
            observer.spin(0.1)
        if player.poll():
            raise player.failure('failed')
        sent = re.search(r'(\d+) messages sent', player.log.read_text(errors='replace'))
    if sent is None:
        raise player.failure('did not say how much it sent')
    return int(sent.group(1))


@contextmanager
def _stopping_by_signal() -> Iterator[None]:
    """Take SIGTERM for Ctrl-C, so that the processes are stopped as well."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _node_words(run: LiveRun) -> list[str]:
    transport = run.camera.transport
    words = ['--ros-args', '--params-file', str(resource('config', 'segment.yaml'))]
    words += ['-r', f'{TRANSPORTS[transport].topic}:={run.topic}']
    words += ['-r', f'__ns:={run.namespace}'] if run.namespace else []
    for pair in (f'image_transport:={transport}', *run.parameters):
        words += ['-p', pair]
    return words
