"""Runs `vss` on damaged and odd inputs, each in a process of its own, and says what went wrong.

tools/run python test/hostile.py 2000 --seed 1
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from hostile_checks import contents, half, leftovers, lost
from hostile_inputs import SEGMENTER, Sandbox, cut, flip, odd, rename, value

from vss_ros.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable

    Rng = np.random.Generator

LONGEST = 10.0
"""Seconds without those in which it waits for a core."""
MEMORY = 6 * 2**30
SIGNALS = (signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
STOPPED = {130, 143, -signal.SIGTERM, -signal.SIGINT, -signal.SIGKILL}
"""Statuses after a signal; a process that has not begun to run the command dies of it."""
OPTIONS = (
    ('--size', '8x8'), ('--size', '²x³'), ('--size', '99999x99999'), ('--threads', '100000'),
    ('--threads', '-1'), ('--device', 'cpu:²'), ('--threshold', 'inf'), ('--threshold', '1e400'),
    ('--interval', '-3'), ('--fps', '1e-300'), ('--fps', 'nan'), ('--model', '../..'), ('--masks', '/dev'),
    ('--json', 'FULL'), ('--image-topic', '\x1b[2J'), ('--track', '\udcff'), ('--output', 'NULL'),
    ('--output', 'FILE'),
)  # fmt: skip
WITH_OPTIONS = {'segment', 'evaluate', 'make', 'card', 'pick'}
VERBS = (
    'segment', 'make', 'info', 'evaluate', 'report', 'compare', 'card', 'verify', 'sweep', 'train', 'add',
    'onnx', 'show', 'export', 'pick',
)  # fmt: skip
"""What is tried, and seldom ``benchmark``; ``compare``, ``card``, ``sweep`` and ``onnx`` use other verbs."""
OWN_INPUT = {
    'report': 'results', 'compare': 'results', 'card': 'card.yaml', 'verify': 'card.yaml',
    'sweep': 'sweep.yaml', 'train': 'recipe.yaml', 'add': 'net.onnx', 'onnx': 'net.yaml',
    'show': 'card.yaml', 'export': 'card.yaml', 'benchmark': 'net.onnx',
}  # fmt: skip
BESIDE = {'card.yaml': 'card.safetensors', 'net.yaml': 'net.onnx'}


class Case:
    """One command on one input."""

    def __init__(self, sandbox: Sandbox, folder: Path, rng: Rng) -> None:
        """Choose and prepare it."""
        self.folder, self.out = folder, folder / 'out'
        self.verb = 'benchmark' if rng.random() < 0.02 else str(rng.choice(VERBS))
        inputs = ['mcap', 'sqlite3'] if self.verb == 'info' else ['drive', 'drive.mkv', 'mcap', 'sqlite3']
        self.input = OWN_INPUT.get(self.verb, str(rng.choice(inputs)))
        beside = BESIDE.get(self.input, 'drive')
        for name in {self.input, beside, 'drive'}:
            source = sandbox.root / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
        victim = rename(folder / self.input, rng) if rng.random() < 0.15 else folder / self.input
        shown = str(victim / 'images' if self.input == 'drive' else victim)
        self.arguments = self._command(sandbox, shown)
        self.plain = not (self.verb in WITH_OPTIONS and rng.random() < 0.15)
        if not self.plain:
            name, given = OPTIONS[int(rng.integers(len(OPTIONS)))]
            # By links: what is replaced, by whom may do anything, are they.
            (folder / 'NULL').symlink_to('/dev/null')
            (folder / 'FULL').symlink_to('/dev/full')
            (folder / 'FILE').write_text('precious')
            self.arguments += [name, str(folder / given) if given.isupper() else given]
        self.damage = ''
        if rng.random() < 0.8:
            ways: list[Callable[[Path, Rng], None]] = [flip, cut, odd]
            if victim.suffix == '.yaml' or self.verb == 'report':
                ways += [value, value, value]
            files = [victim] if victim.is_file() else sorted(f for f in victim.rglob('*') if f.is_file())
            files += [folder / beside] if beside != 'drive' else []
            way, file = ways[int(rng.integers(len(ways)))], files[int(rng.integers(len(files)))]
            self.damage = f'{way.__name__} {file.name}'
            way(file, rng)
        self.limit = int(rng.integers(200, 20000)) if rng.random() < 0.1 else None
        self.kill_after = float(rng.uniform(0.02, 2)) if rng.random() < 0.1 else None
        self.kill_by = SIGNALS[int(rng.integers(len(SIGNALS)))]

    def _command(self, sandbox: Sandbox, shown: str) -> list[str]:
        folder, out = self.folder, str(self.out)
        drive, small = str(folder / 'drive/images'), ['--size', '64x96']
        classes = ['--classes', 'camvid11']
        return {
            'segment': ['segment', shown, '-o', out, *SEGMENTER],
            'make': ['bag', 'make', shown, '-o', out],
            'info': ['bag', 'info', shown],
            'pick': ['pick', shown, '-n', '1', '-o', out, '--threads', '1'],
            'evaluate': ['evaluate', shown, '-o', out, *SEGMENTER],
            'report': ['report', shown],
            'compare': ['report', 'compare', str(sandbox.root / 'results'), shown, '-o', f'{out}/c.html'],
            'verify': ['models', 'verify', shown],
            'show': ['models', 'show', shown, *small],
            'export': ['models', 'export', shown, '-o', out, *small],
            'add': ['models', 'add', shown, *classes, '-o', out],
            'card': ['segment', drive, '-o', out, '--model', shown, *SEGMENTER],
            'onnx': ['segment', drive, '-o', out, '--model', shown, *SEGMENTER],
            'sweep': ['evaluate', drive, '-o', out, '--sweep', shown, '--repeats', '1', '--threads', '1'],
            'train': [
                'train', shown, '--data', f'd={folder}/drive', '--runs', f'{folder}/runs', '-o', out,
                '--threads', '1',
            ],
            'benchmark': [
                'benchmark', shown, '--no-node', '--quick', '--frames', '1', '--propagation', 'none',
                '--runtime', 'openvino', *small, '--threads', '1', '--input', drive, '-o', out,
            ],
        }[self.verb]  # fmt: skip

    def run(self) -> tuple[int, str, float]:
        """Run it; returns the status (negative by a signal), what it said and its seconds."""
        log = self.folder.with_suffix('.log')
        begin = time.monotonic()
        child = os.fork()
        if child == 0:
            self._be_the_program(log)
        seconds = 0.0
        while True:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                break
            passed = time.monotonic() - begin
            if self.kill_after is not None and passed > self.kill_after:
                os.kill(child, self.kill_by)
                self.kill_after = None
            if passed > LONGEST:
                seconds = passed - _waited(child)
                if seconds > LONGEST or passed > 30 * LONGEST:
                    os.kill(child, signal.SIGKILL)
            time.sleep(0.01)
        said = log.read_text(errors='replace') if log.exists() else ''
        log.unlink(missing_ok=True)
        return os.waitstatus_to_exitcode(status), said, seconds

    def _be_the_program(self, log: Path) -> None:
        code = 99
        try:
            sink = os.open(log, os.O_WRONLY | os.O_CREAT)
            os.dup2(sink, 1)
            os.dup2(sink, 2)
            tempfile.tempdir = str(self.folder / 'tmp')  # what stays there is seen
            Path(tempfile.tempdir).mkdir(exist_ok=True)
            if self.limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (self.limit, self.limit))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            sys.argv = ['vss', *self.arguments]
            code = main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 98
        except BaseException:  # noqa: BLE001 -- nothing may go back into the search
            traceback.print_exc()
        finally:
            os._exit(code)

    def faults(self, status: int, said: str, seconds: float, before: dict[str, str]) -> list[str]:
        """Return what is wrong with how it ended."""
        stopped = status in STOPPED and self.kill_after is None
        found = [] if status in {0, 1, 2} or stopped else [f'status {status}']
        found += ['traceback'] * ('Traceback' in said)
        found += ['a terminal would obey'] * ('\x1b[2J' in said)
        found += ['hangs'] * (seconds > LONGEST)
        after = contents(self.folder)
        own = ('out', 'runs', 'tmp', *(['report.html', 'plots'] if self.verb == 'report' else []))
        results = self.input == 'results' and self.verb == 'report'
        mine = {n for n in after if n.partition('/')[0] in own or results}
        if others := {name for name in after if name not in mine} - {*before}:
            found += [f'outside: {sorted(others)[:3]}'] * (status != -signal.SIGKILL)
        if any(after.get(name) != value for name, value in before.items() if name not in mine):
            found.append('changed its input')
        found += leftovers(after) if status != -signal.SIGKILL else []
        found += half(self.out, self.folder / 'runs')
        if status == 0:
            whole = self.plain and not self.damage
            found += lost(self.verb, self.out, self.plain and self.input in {'drive', 'mcap'}, whole=whole)
        return found

    def again(self) -> list[str]:
        """After SIGKILL: the same once more takes away what was left; returns what is wrong with that."""
        self.limit = None
        status, said, _ = self.run()
        after = [name for name in contents(self.folder) if not name.startswith('tmp')]
        return leftovers(after) and [f'after SIGKILL and {status}: {leftovers(after)}: {said[-200:]}']


def _waited(pid: int) -> float:
    """Return for how many seconds the thread of a process that waited longest wanted a core."""
    longest = 0
    for file in Path(f'/proc/{pid}/task').glob('*/schedstat'):
        longest = max(longest, int(file.read_text().split()[1]))
    return longest / 1e9


def search(runs: int, seed: int, only: int | None = None) -> list[str]:
    """Run so many cases, or a single one and show what it says; returns a line for each finding."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    findings, statuses, times = [], Counter[int](), defaultdict[str, list[float]](list)
    with tempfile.TemporaryDirectory(prefix='vss-hostile-') as root:
        sandbox = Sandbox(Path(root))
        for module in (
            'training.run',
            'engine.network_export',
            'cli.models_show',
            'evaluation.benchmark.table',
        ):
            import_module(f'vss_ros.{module}')  # once, not in each process
        gc.freeze()
        for number in range(runs) if only is None else [only]:
            folder = Path(root) / f'case{number}'
            folder.mkdir()
            case = Case(sandbox, folder, np.random.default_rng((seed, number)))
            before = contents(folder)
            begin = time.monotonic()
            status, said, seconds = case.run()
            if only is not None:
                print(said)
            times[case.verb].append(time.monotonic() - begin)
            statuses[status] += 1
            faults = case.faults(status, said, seconds, before)
            if status == -signal.SIGKILL and not faults:
                faults = case.again()
            for fault in faults:
                last = next(reversed(said.strip().splitlines()), '')[-300:]
                line = f'{seed}/{number} {" ".join(case.arguments)} [{case.damage}]: {fault}: {last}'
                findings.append(line.encode(errors='backslashreplace').decode())
                print(findings[-1], flush=True)
            shutil.rmtree(folder, ignore_errors=True)
    print(dict(statuses))
    print(
        {
            verb: f'{len(all_)} of {np.mean(all_):.2f} s, longest {max(all_):.1f}'
            for verb, all_ in times.items()
        }
    )
    return findings


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('runs', type=int)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--only', type=int, help='the number of one run, with all that it says')
    chosen: Any = parser.parse_args()
    sys.exit(bool(search(chosen.runs, chosen.seed, chosen.only)))
