"""A thread that ticks every millisecond and notes how late it gets to run.

In the node's process that is how long others hold the interpreter, in a process that does nothing else (as
which this file runs) how long the system lets a thread wait: the two belong beside each other.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

from vss_ros.node.process import StopRequest, suit_images

TICK = 1e-3
"""Seconds from one tick to the next."""


class Ticker:
    """Ticks from now on."""

    def __init__(self) -> None:
        self.ticks: list[tuple[float, float]] = []
        """When one was due, by ``time.perf_counter``, and how late it came; seconds."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name='ticker', daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping:
            due = time.perf_counter() + TICK
            time.sleep(TICK)
            self.ticks.append((due, time.perf_counter() - due))

    def stop(self, file: Path) -> None:
        """End the thread and write all ticks as JSON."""
        self._stopping = True
        self._thread.join()
        file.write_text(json.dumps(self.ticks))


def main() -> int:
    """Tick until SIGINT or SIGTERM; the argument is the file to write."""
    stop = StopRequest()
    suit_images()
    ticker = Ticker()
    stop.sleep_until(2**63)
    ticker.stop(Path(sys.argv[1]))
    return 0


if __name__ == '__main__':
    sys.exit(main())
