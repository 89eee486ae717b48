"""Signals at random moments of a node's life: SIGINT, SIGTERM twice, SIGKILL.

A node takes seconds to start, nearly all of them to import PyTorch. Here one process imports everything, and
each node is a fork of it that goes through ``main``; ``--whole`` are started from nothing. A camera runs all
the while. After SIGINT and SIGTERM a node has to end with status 0, within two seconds and without a
traceback; after SIGKILLs /dev/shm holds no more than before, once another node has started.

Examples:
  tools/run python -m experiments.signals --interrupts 1000 --double 200 --kills 200 --whole 50
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vss_ros.command_line import add, new_parser
from vss_ros.resources import large_image_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SOON_S = 2.0
LOST_S = 60.0
LIGHT = ('runtime:=torch', 'precision:=f32', 'threads:=1', 'size:=96x128')
MODULE = 'vss_ros.node.main'
SHARED = Path('/dev/shm')
_OWNER = re.compile(r'fast(?:dds|rtps)_(?:port\d+|[0-9a-f]{16})')
SETTLE_S = 11.0
"""After which shared memory of killed processes counts as nobody's."""


def command() -> list[str]:
    """Return the node's command line."""
    return [MODULE, '--ros-args', *(word for pair in LIGHT for word in ('-p', pair))]


def forked(log: Path) -> int:
    """Start a node as a fork of this process; return its number."""
    from vss_ros.node.main import main as run_node

    process = os.fork()
    if not process:
        with log.open('w') as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        run_node(command())
    return process


def whole(log: Path) -> int:
    """Start a node from nothing; return its number."""
    with log.open('w') as file:
        return subprocess.Popen([sys.executable, '-m', *command()], stdout=file, stderr=file).pid


def catches(process: int) -> bool:
    """Tell whether a process handles SIGTERM yet: before its first line nobody can."""
    status = Path(f'/proc/{process}/status').read_text()
    caught = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith('SigCgt'))
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def end_of(process: int, patience: float) -> int | None:
    """Wait for a child's end; return its exit status, None where it goes on."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    return None


def turn(kind: str, start: str, span: float, rng: random.Random, log: Path) -> dict[str, Any]:
    """Start a node, send it signals at a random moment and return what became of it."""
    process = {'forked': forked, 'whole': whole}[start](log)
    while not catches(process):
        time.sleep(0.002)
    time.sleep(rng.uniform(0, span))
    began = time.monotonic()
    if kind == 'kill':
        os.kill(process, signal.SIGKILL)
    else:
        os.kill(process, signal.SIGINT if kind == 'interrupt' else signal.SIGTERM)
        if kind == 'double':
            time.sleep(rng.uniform(0, 0.3))
            os.kill(process, signal.SIGTERM)  # it may have ended: its parent, this one, has not asked yet
    status = end_of(process, LOST_S)
    if status is None:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    said = log.read_text(errors='replace')
    ready = 'waiting for images' in said
    return {
        'kind': kind, 'start': start, 'status': status, 'seconds': time.monotonic() - began, 'ready': ready,
        'traceback': 'Traceback' in said,
    }  # fmt: skip


def held() -> tuple[int, float]:
    """Return how many files of Fast DDS lie in shared memory that no process uses, and their megabytes."""
    used: set[str] = set()
    for maps in Path('/proc').glob('[1-9]*/maps'):
        with suppress(OSError):  # it has ended
            used.update(_OWNER.findall(maps.read_text(errors='replace')))
    owners = [(file, _OWNER.search(file.name)) for file in SHARED.iterdir()]
    sizes = [
        file.stat().st_size for file, owner in owners if owner and owner[0] not in used and file.exists()
    ]
    return len(sizes), sum(sizes) / 1e6


def turns(wanted: dict[str, int], whole_starts: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield what became of each node."""
    import vss_ros.node.segmentation_node  # noqa: F401 (what each fork would import)

    rng = random.Random(seed)
    kinds = [(kind, 'forked') for kind, number in wanted.items() for _ in range(number)]
    kinds += [(rng.choice(['interrupt', 'double']), 'whole') for _ in range(whole_starts)]
    spans = {'forked': 1.0, 'whole': 4.0}
    with tempfile.TemporaryDirectory() as folder:
        for kind, start in kinds:
            row = turn(kind, start, spans[start], rng, Path(folder) / 'node.log')
            # As long as half of the nodes work when the signal comes.
            spans[start] *= 0.97 if row['ready'] else 1.03
            yield row


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and report; 1 where a node did not end as it has to, or shared memory has grown."""
    parser = new_parser('python -m experiments.signals', __doc__)
    add(parser, '--interrupts N', 'SIGINT', 0, type=int)
    add(parser, '--double N', 'two SIGTERM', 0, type=int)
    add(parser, '--kills N', 'SIGKILL', 0, type=int)
    add(parser, '--whole N', 'of nodes that start from nothing', 0, type=int)
    add(parser, '--seed', 'of the moments', 0, type=int)
    options = parser.parse_args(arguments)
    os.environ.setdefault('ROS_DOMAIN_ID', '92')
    os.environ.update(large_image_environment(os.environ) | {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'})
    from vss_ros.node.shared_memory import remove_orphans

    camera = [sys.executable, '-m', 'vss_ros.live.still_camera', '360x480', '--frames', '10000000']
    wanted = {'interrupt': options.interrupts, 'double': options.double, 'kill': options.kills}
    remove_orphans()
    sender = subprocess.Popen(camera)
    time.sleep(3.0)
    before, most, wrong = held(), 0.0, []
    counts: Counter[str] = Counter()
    for row in turns(wanted, options.whole, options.seed):
        kind = row['kind']
        counts[kind] += 1
        counts[f'{kind} while it worked'] += row['ready']
        counts[f'{kind} late'] += kind != 'kill' and row['seconds'] > SOON_S
        most = max(most, held()[1])
        if kind != 'kill' and (row['status'] != 0 or row['traceback']):
            wrong.append(row)
            print(json.dumps(row), flush=True)
    time.sleep(SETTLE_S)
    remove_orphans()  # as every node does at its start
    after = held()
    sender.terminate()
    sender.wait()
    print(json.dumps(counts))
    print(f'/dev/shm: {before[0]} files, {before[1]:.0f} MB before, {most:.0f} MB at most, {after} after')
    grown = after[0] > before[0] or after[1] > before[1] + 1
    print(f'{len(wrong)} ended otherwise, {sum(n for k, n in counts.items() if k.endswith("late"))} late')
    return bool(wrong or grown)


if __name__ == '__main__':
    sys.exit(main())
