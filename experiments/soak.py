"""A day in two hours: the real node, a camera at 15 Hz, faults, and what the process holds as time goes on.

Every ten seconds the node's memory, descriptors, threads and shared memory are noted; the slope of each over
time is stated, with a bar. ``--leak`` lets the node lose something on purpose: the soak has to find it.

Examples:
  tools/run python -m experiments.soak --hours 2 --faults -o soak     # the bar: 8 KB of memory a minute
  tools/run python -m experiments.soak --hours 0.1 --leak memory      # exit 1: found
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import experiments.fault_classes  # noqa: F401 (which registers them)
from experiments.fault import FAULTS, harmless
from experiments.robot import robot
from vss_ros.command_line import add, new_parser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.robot import Robot

RATE = 15.0
EVERY_S = 10.0
"""Seconds between two samples."""
SETTLED = 0.25
"""Share of the time that does not count: caches fill, and every fault comes for the first time."""
BARS = {'memory_kb': 8.0, 'descriptors': 0.02, 'threads': 0.02, 'shared_kb': 8.0}
"""The most that each may grow, a minute."""
RARE = {'configured_anew': 9}
"""Once an hour rather than every seven minutes: OpenVINO keeps 0.15 MB of each model, for good."""
LEAKS = ('none', 'memory', 'descriptors', 'threads', 'shared')


@dataclass(frozen=True)
class Sample:
    """What a process holds at a moment."""

    minute: float
    memory_kb: float
    """Resident, without what it shares with others through /dev/shm."""
    descriptors: float
    threads: float
    shared_kb: float
    """In /dev/shm, mapped or held open."""


def sample(pid: int, minute: float) -> Sample:
    """Return what a process holds now."""
    folder = Path(f'/proc/{pid}')
    status = dict(line.split(':', 1) for line in (folder / 'status').read_text().splitlines())
    kilobytes = {name: float(status[name].split()[0]) for name in ('RssAnon', 'RssFile')}
    maps = (line.split(maxsplit=5) for line in (folder / 'maps').read_text().splitlines())
    held = {words[5]: words[0].split('-') for words in maps if len(words) == 6 and '/dev/shm/' in words[5]}
    shared = sum(int(end, 16) - int(begin, 16) for begin, end in held.values()) / 1024
    descriptors = len(list((folder / 'fd').iterdir()))
    return Sample(minute, sum(kilobytes.values()), descriptors, float(status['Threads']), shared)


def slope(minutes: Sequence[float], values: Sequence[float]) -> float:
    """Return how much values grow a minute: the median over pairs of moments, which outliers do not move."""
    step = max(1, len(minutes) // 300)
    points = list(zip(minutes, values, strict=True))[::step]
    return statistics.median((b - a) / (n - m) for (m, a), (n, b) in combinations(points, 2) if n > m)


def slopes(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the growth a minute of everything in ``BARS``, after the node has settled."""
    settled = samples[int(SETTLED * len(samples)) :]
    minutes = [one.minute for one in settled]
    return {name: slope(minutes, [getattr(one, name) for one in settled]) for name in BARS}


def over(found: dict[str, float], bars: dict[str, float]) -> list[str]:
    """Return a sentence for each slope over its bar."""
    return [f'{k} grows by {v:.3g} a minute, bar {bars[k]:g}' for k, v in found.items() if v > bars[k]]


class Soak:
    """One run."""

    def __init__(self, bench: Robot, *, faults: Sequence[str], every_s: float, seed: int) -> None:
        self._robot, self._rng = bench, random.Random(seed)
        self._faults, self._every_s = faults, every_s
        self.samples: list[Sample] = []
        self.injected: dict[str, int] = dict.fromkeys(self._faults, 0)

    def run(self, seconds: float, pid: int, out: Path) -> None:
        """Send images, now and then a fault, for some seconds; each sample is written at once."""
        began = time.monotonic()
        due, sample_at, fault_at = began, began, began + self._every_s
        with out.open('w') as file:
            while (now := time.monotonic()) < began + seconds:
                self._robot.send()
                if now >= sample_at:
                    self.samples.append(sample(pid, (now - began) / 60))
                    file.write(json.dumps(vars(self.samples[-1])) + '\n')
                    file.flush()
                    sample_at += EVERY_S
                if self._faults and now >= fault_at:
                    self._fault()
                    fault_at = time.monotonic() + self._rng.uniform(0.5, 1.5) * self._every_s
                due = max(due + 1 / RATE, time.monotonic())
                self._robot.spin(due - time.monotonic())

    def _turn(self, fault: str) -> tuple[int, float]:
        return self.injected[fault] * RARE.get(fault, 1), self._rng.random()

    def _fault(self) -> None:
        name = min(self._faults, key=self._turn)
        self.injected[name] += 1
        FAULTS[name].inject(self._robot, self._rng)
        self._robot.recovers()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and report; 1 where something grows faster than its bar."""
    parser = new_parser('python -m experiments.soak', __doc__)
    add(parser, '--hours', 'how long', 2.0)
    parser.add_argument(
        '--faults', nargs='*', choices=harmless(), metavar='NAME', help='inject these; without a name, all'
    )
    add(parser, '--every SECONDS', 'time from one fault to the next', 20.0)
    parser.add_argument('--leak', choices=LEAKS, default='none', help='what the node loses on purpose')
    add(parser, '--seed', 'of the faults', 0)
    add(parser, '--bar KB', 'most memory a minute', BARS['memory_kb'])
    add(parser, '-o DIR', 'for samples, log and report.json', '')
    parser.add_argument(
        '-p', action='append', default=[], metavar='NAME:=VALUE', help='parameter of the node'
    )
    options = parser.parse_args(arguments)
    faults = [] if options.faults is None else options.faults or harmless()
    bars = BARS | {'memory_kb': options.bar}
    os.environ['LEAK'] = options.leak
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.o or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        executable = 'segmentation_node' if options.leak == 'none' else 'faulty_node'
        with robot(folder, 'diagnostics_period:=0.5', *options.p, executable=executable) as bench:
            soak = Soak(bench, faults=faults, every_s=options.every, seed=options.seed)
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            try:
                soak.run(options.hours * 3600, bench.node.pid, folder / 'samples.jsonl')
            except KeyboardInterrupt:
                print('interrupted: what follows is of the time until now')
            counters = bench.counters
        found = slopes(soak.samples)
        first, last = soak.samples[int(SETTLED * len(soak.samples))], soak.samples[-1]
        report = {
            'minutes': last.minute, 'slopes_a_minute': found, 'bars': bars, 'first': vars(first),
            'last': vars(last), 'faults': soak.injected, 'sent': bench.sent, 'counters': counters,
        }  # fmt: skip
        (folder / 'report.json').write_text(json.dumps(report, indent=1))
    print(json.dumps(report, indent=1))
    grown = over(found, bars)
    print('\n'.join(grown) or 'nothing grows faster than its bar')
    return bool(grown)


if __name__ == '__main__':
    sys.exit(main())
