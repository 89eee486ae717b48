"""Runs `vss` on damaged and odd inputs, each in a process of its own, and says what went wrong.

tools/run python test/hostile.py 2000 --seed 1
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
import torch
import yaml

from vss_ros.cli.main import main
from vss_ros.engine.model_card import read_card
from vss_ros.images.image_decoding import decode_mask
from vss_ros.images.image_files import read_image
from vss_ros.recordings.open import open_source
from vss_ros.resources import resource as packaged

if TYPE_CHECKING:
    from collections.abc import Callable

    Rng = np.random.Generator

FRAMES = 4
LONGEST = 60.0
"""Seconds: of computing on a busy machine, not of waiting."""
VALUES = (
    '.inf', '-.inf', '.nan', '-1', '0', '1e400', '99999999999999999999', 'null', '[]', '{}', '{a: 1}', '[1]',
    'true', '""', '"../../x"', '"a\\0b"', '"\\ud800"', '²', 'x', '"\\e[2J"', '2020-01-01', '!!binary aGk=',
    '[' * 5000, '&a [*a]',
)  # fmt: skip
NAMES = ('caf\udce9', 'a b', "it's", '$x$', 'ünï', '-o', '\x1b[2J', 'n' * 200)
SEGMENTER = ['--propagation', 'flow_warp', '--scheduler', 'fixed_interval', '--threads', '1']


class Sandbox:
    """Sound inputs of every kind, from which each case takes its own copy."""

    def __init__(self, root: Path) -> None:
        """Make them."""
        self.root = root / 'sound'
        images, labels = self.root / 'drive/images', self.root / 'drive/labels'
        for folder in (images, labels):
            folder.mkdir(parents=True)
        with open_source(packaged('test', 'data', 'street')) as source:
            for frame, mask in source:
                if mask is None or frame.index == FRAMES:
                    break
                small = cv2.resize(frame.image[..., ::-1], (96, 64), interpolation=cv2.INTER_AREA)
                truth = cv2.resize(mask, (96, 64), interpolation=cv2.INTER_NEAREST_EXACT)
                cv2.imwrite(str(images / f'{frame.index:02}.png'), small)
                cv2.imwrite(str(labels / f'{frame.index:02}.png'), truth)
        with av.open(str(self.root / 'drive.mkv'), 'w') as container:
            stream = container.add_stream('mpeg4', rate=15)
            stream.width, stream.height, stream.pix_fmt = 96, 64, 'yuv420p'
            for file in sorted(images.iterdir()):
                picture = read_image(file)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format='rgb24')))
            container.mux(stream.encode(None))
        for storage in ('mcap', 'sqlite3'):
            command = ['bag', 'make', str(images), '-o', str(self.root / storage), '--format', 'png']
            assert main([*command, '--storage', storage]) == 0
        assert main(['evaluate', str(images), '-o', str(self.root / 'results'), *SEGMENTER]) == 0
        card = read_card('efficientnet_lite0_fpn')
        shutil.copy(card.path, self.root / 'card.yaml')
        shutil.copy(Path(card.path).with_suffix('.safetensors'), self.root / 'card.safetensors')
        sweep = {
            'configurations': {'a': {'propagation': 'none'}, 'b': {'propagation': 'reuse', 'interval': 2}}
        }
        (self.root / 'sweep.yaml').write_text(yaml.safe_dump(sweep))
        recipe = {
            'stage': 'backbone', 'model': 'cows', 'backbone': 'lernet', 'epochs': 1, 'batch': 2,
            'crop': [64, 96], 'data': {'d': {}},
        }  # fmt: skip
        (self.root / 'recipe.yaml').write_text(yaml.safe_dump(recipe))


def flip(file: Path, rng: Rng) -> None:
    """Change some bytes."""
    blob = bytearray(file.read_bytes())
    for _ in range(int(rng.integers(1, 9))):
        blob[int(rng.integers(len(blob)))] ^= int(rng.integers(1, 256))
    file.write_bytes(blob)


def cut(file: Path, rng: Rng) -> None:
    """Leave the beginning."""
    blob = file.read_bytes()
    file.write_bytes(blob[: int(rng.integers(len(blob)))])


def odd(file: Path, rng: Rng) -> None:
    """Put something else in its place."""
    file.unlink()
    kind = int(rng.integers(5))
    if kind == 0:
        file.mkdir()
    elif kind == 1:
        os.mkfifo(file)
    elif kind == 2:
        file.symlink_to('nowhere')
    elif kind == 3:
        file.symlink_to('/dev/zero')
    else:
        file.write_bytes(rng.bytes(int(rng.integers(3000))))


def value(file: Path, rng: Rng) -> None:
    """Replace the value of a line of a YAML or JSON file."""
    lines = file.read_text(errors='replace').splitlines() or ['']
    number = int(rng.integers(len(lines)))
    key, colon, _ = lines[number].partition(':')
    lines[number] = f'{key}{colon} {VALUES[int(rng.integers(len(VALUES)))]}'
    file.write_text('\n'.join(lines), errors='surrogatepass')


def files_below(path: Path) -> list[Path]:
    """Return a path's files."""
    return [path] if path.is_file() else sorted(file for file in path.rglob('*') if file.is_file())


def contents(folder: Path) -> dict[str, str]:
    """Return what lies in a folder, by name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ''
        for path in folder.rglob('*')
    }


VERBS = ['segment', 'make', 'info', 'evaluate', 'report', 'compare', 'card', 'verify', 'sweep', 'train']
"""What is tried; ``compare``, ``card`` and ``sweep`` are ways to use a verb."""


class Case:
    """One command on one input."""

    def __init__(self, sandbox: Sandbox, folder: Path, rng: Rng) -> None:
        """Choose and prepare it."""
        self.folder, self.out = folder, folder / 'out'
        verb = str(rng.choice(VERBS))
        inputs = ['mcap', 'sqlite3'] if verb == 'info' else ['drive', 'drive.mkv', 'mcap', 'sqlite3']
        own = {
            'report': 'results', 'compare': 'results', 'card': 'card.yaml', 'verify': 'card.yaml',
            'sweep': 'sweep.yaml', 'train': 'recipe.yaml',
        }  # fmt: skip
        self.victim = own.get(verb, str(rng.choice(inputs)))
        for name in {self.victim, 'drive', *(['card.safetensors'] if verb in {'card', 'verify'} else [])}:
            source = sandbox.root / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
        victim = folder / self.victim
        if rng.random() < 0.15:
            renamed = victim.with_name(NAMES[int(rng.integers(len(NAMES)))] + victim.suffix)
            victim = victim.rename(renamed)
        shown = str(victim / 'images' if self.victim == 'drive' else victim)
        drive, out = str(folder / 'drive/images') if self.victim != 'drive' else shown, str(self.out)
        self.arguments = {
            'segment': ['segment', shown, '-o', out, *SEGMENTER],
            'make': ['bag', 'make', shown, '-o', out],
            'info': ['bag', 'info', shown],
            'evaluate': ['evaluate', shown, '-o', out, *SEGMENTER],
            'report': ['report', shown],
            'compare': ['report', 'compare', str(sandbox.root / 'results'), shown],
            'verify': ['models', 'verify', shown],
            'card': ['segment', drive, '-o', out, '--model', shown, *SEGMENTER],
            'sweep': ['evaluate', drive, '-o', out, '--sweep', shown, '--repeats', '1', '--threads', '1'],
            'train': [
                'train', shown, '--data', f'd={folder}/drive', '--runs', f'{folder}/runs', '-o', out,
                '--threads', '1',
            ],
        }[verb]  # fmt: skip
        self.damage = ''
        ways: list[Callable[[Path, Rng], None]] = [flip, cut, odd]
        if victim.suffix == '.yaml' or verb == 'report':
            ways += [value, value, value]
        if rng.random() < 0.8:
            way, file = ways[int(rng.integers(len(ways)))], rng.choice(files_below(victim))  # type: ignore[arg-type]
            self.damage = f'{way.__name__} {Path(file).name}'
            way(Path(file), rng)
        self.limit = int(rng.integers(200, 20000)) if rng.random() < 0.1 else None
        self.kill_after = float(rng.uniform(0.05, 2)) if rng.random() < 0.1 else None
        self.kill_by = signal.SIGTERM if rng.random() < 0.7 else signal.SIGKILL

    def run(self) -> tuple[int, str, float]:
        """Run it; returns the status (negative by a signal), what it said and its seconds."""
        log = self.folder.with_suffix('.log')
        begin = time.monotonic()
        child = os.fork()
        if child == 0:
            self._be_the_program(log)
        status = 0
        while True:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                break
            passed = time.monotonic() - begin
            if self.kill_after is not None and passed > self.kill_after:
                os.kill(child, self.kill_by)
                self.kill_after = None
            if passed > LONGEST:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.01)
        said = log.read_text(errors='replace')
        log.unlink()
        return os.waitstatus_to_exitcode(status), said, time.monotonic() - begin

    def _be_the_program(self, log: Path) -> None:
        code = 99
        try:
            sink = os.open(log, os.O_WRONLY | os.O_CREAT)
            os.dup2(sink, 1)
            os.dup2(sink, 2)
            if self.limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (self.limit, self.limit))
            resource.setrlimit(resource.RLIMIT_AS, (24 * 2**30, 24 * 2**30))
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
        found = []
        killed = {128 + signal.SIGTERM, -signal.SIGTERM, -signal.SIGKILL}
        if status not in {0, 1, 2, *killed}:
            found.append(f'status {status}')
        if 'Traceback' in said:
            found.append('traceback')
        if seconds > LONGEST:
            found.append('hangs')
        after = contents(self.folder)
        outside = {name for name in after if name.partition('/')[0] not in {'out', 'runs'}}
        if status != -signal.SIGKILL and outside - {*before} and self.arguments[0] != 'report':
            found.append(f'outside: {sorted(outside - {*before})[:3]}')
        if self.arguments[0] != 'report' and any(after.get(name) != value for name, value in before.items()):
            found.append('changed its input')
        if status in {0, 1} and self.arguments[0] == 'segment':
            found += self._half()
        if status == 0 and self.arguments[0] == 'segment' and len([*self.out.glob('masks/*')]) != FRAMES:
            found.append('lost frames')
        return found

    def _half(self) -> list[str]:
        try:
            for file in self.out.glob('masks/*.png'):
                decode_mask(file.read_bytes())
            json.loads((self.out / 'summary.json').read_bytes())
        except Exception as error:  # noqa: BLE001
            return [f'half: {error}']
        return []


def search(runs: int, seed: int) -> list[str]:
    """Run so many cases; returns a line for each finding."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    findings, statuses = [], Counter[int]()
    with tempfile.TemporaryDirectory(prefix='vss-hostile-') as root:
        sandbox = Sandbox(Path(root))
        for number in range(runs):
            folder = Path(root) / f'case{number}'
            folder.mkdir()
            case = Case(sandbox, folder, np.random.default_rng((seed, number)))
            before = contents(folder)
            status, said, seconds = case.run()
            statuses[status] += 1
            for fault in case.faults(status, said, seconds, before):
                last = next(reversed(said.strip().splitlines()), '')[-300:]
                line = f'{seed}/{number} {" ".join(case.arguments)} [{case.damage}]: {fault}: {last}'
                findings.append(line.encode(errors='backslashreplace').decode())
                print(findings[-1], flush=True)
            for path in folder.rglob('*'):
                if path.is_fifo():
                    path.unlink()
            shutil.rmtree(folder, ignore_errors=True)
    print(dict(statuses))
    return findings


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('runs', type=int)
    parser.add_argument('--seed', type=int, default=0)
    chosen: Any = parser.parse_args()
    sys.exit(bool(search(chosen.runs, chosen.seed)))
