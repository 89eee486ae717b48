"""Every class of faults, many times, through the real node: it recovers, or ends with the cause in one line.

Examples:
  tools/run python -m experiments.faults --seeds 20 -o faults        # all: about an hour; exit 1: one failed
  tools/run python -m experiments.faults --only two_cameras nan_weights --seeds 2
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import experiments.fault_classes  # noqa: F401 (which registers them)
from experiments.fault import FAULTS
from experiments.fault_starts import STARTS
from experiments.robot import LostError, Robot, robot
from vss_ros.command_line import add, new_parser
from vss_ros.errors import VssError
from vss_ros.live.run import stay_apart

if TYPE_CHECKING:
    from collections.abc import Sequence

NOTICED_S = 20.0
"""Seconds for a counter to rise, on a busy machine."""


class Bench:
    """The node that runs, started anew where a fault has ended it."""

    def __init__(self, folder: Path, executable: str, transport: str) -> None:
        self._folder, self._kind = folder, (executable, transport)
        self._stack = ExitStack()
        self._robot: Robot | None = None

    def inject(self, name: str, seed: int) -> float:
        """Inject a fault and return the seconds until good images were answered again."""
        one = FAULTS[name]
        if self._robot is None:
            executable, transport = self._kind
            started = robot(
                self._folder, 'diagnostics_period:=0.2', executable=executable, transport=transport
            )
            self._robot = self._stack.enter_context(started)
            self._robot.recovers()
        bench = self._robot
        before = {counter: bench.count(counter) for counter in one.counters}
        try:
            # Some look at what is late only when an image comes.
            noticed = lambda: bench.send() and any(bench.count(k) > n for k, n in before.items())  # noqa: E731
            for last in (False, True):
                one.inject(bench, random.Random(f'{name} {seed}'))
                seconds = bench.recovers()
                try:
                    if before:
                        bench.wait(noticed, f'{" or ".join(before)} to rise', NOTICED_S)
                    break
                except LostError:
                    if last or not bench.count(
                        'lost'
                    ):  # on a busy machine an image may be lost, and its fault
                        raise
        except (LostError, VssError):
            log = bench.node.log.read_text(errors='replace')
            ended = bench.node.poll() == 1 and log.count('[FATAL]') == 1 and 'Traceback' not in log
            self.close()
            if not ended:
                raise
            return 0.0  # with the cause in one line
        return seconds

    def close(self) -> None:
        """End the node."""
        self._robot = None
        self._stack.close()


def run(names: Sequence[str], seeds: Sequence[int], folder: Path) -> list[dict[str, object]]:
    """Return a row for each class and seed; each is written as soon as it is known."""
    rows: list[dict[str, object]] = []
    with (folder / 'faults.jsonl').open('w') as file:

        def note(name: str, seed: int, seconds: float, fault: str) -> None:
            rows.append({'class': name, 'seed': seed, 'seconds': round(seconds, 2), 'fault': fault})
            file.write(json.dumps(rows[-1]) + '\n')
            file.flush()
            print(f'{name} {seed}: {fault or "good"} ({seconds:.1f} s)', flush=True)

        kind = lambda name: (FAULTS[name].executable, FAULTS[name].transport)  # noqa: E731
        running = sorted((name for name in names if name in FAULTS), key=kind)
        for (executable, transport), group in groupby(running, kind):
            bench = Bench(folder, executable, transport)
            turns = [(name, seed) for name in group for seed in seeds]
            random.Random(len(turns)).shuffle(turns)
            for name, seed in turns:
                begin = time.monotonic()
                try:
                    note(name, seed, bench.inject(name, seed), '')
                except (LostError, VssError) as error:
                    note(name, seed, time.monotonic() - begin, str(error))
            bench.close()
        for name in (name for name in names if name in STARTS):
            for seed in seeds:
                begin = time.monotonic()
                with tempfile.TemporaryDirectory() as own:
                    try:
                        STARTS[name](Path(own), random.Random(f'{name} {seed}'))
                        note(name, seed, time.monotonic() - begin, '')
                    except (LostError, VssError) as error:
                        note(name, seed, time.monotonic() - begin, str(error))
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and report; 1 where one failed."""
    parser = new_parser('python -m experiments.faults', __doc__)
    add(parser, '--seeds N', 'of each class', 20)
    known = [*FAULTS, *STARTS]
    parser.add_argument(
        '--only', nargs='+', choices=known, default=known, metavar='CLASS', help='of the faults'
    )
    add(parser, '-o DIR', 'for faults.jsonl and the log', '')
    options = parser.parse_args(arguments)
    stay_apart()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.o or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows = run(options.only, range(options.seeds), folder)
    failed = Counter(str(row['class']) for row in rows if row['fault'])
    print(f'{len(options.only)} classes, {len(rows)} faults, {failed.total()} failed {dict(failed) or ""}')
    return bool(failed)


if __name__ == '__main__':
    sys.exit(main())
