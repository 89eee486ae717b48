"""What must hold after any run of ``hostile.py``: nothing half, left over or lost in silence."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from typing import TYPE_CHECKING

import av
import yaml
from hostile_inputs import FRAMES
from safetensors.numpy import load

from vss_ros.cli.main import main
from vss_ros.images.image_decoding import decode_compressed, decode_mask
from vss_ros.recordings.open import open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


def contents(folder: Path) -> dict[str, str]:
    """Return what lies in a folder, by name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ''
        for path in folder.rglob('*')
    }


def leftovers(names: Iterable[str]) -> list[str]:
    """Name what a run should have taken away."""
    left = sorted(n for n in names if n.startswith('tmp/') or any(p.startswith('.') for p in n.split('/')))
    return [f'left over: {left[:3]}'] if left else []


def half(*folders: Path) -> list[str]:
    """Name a file that does not read to its end."""
    for folder in folders:
        for file in sorted(folder.rglob('*')):
            if not file.is_file() or any(part.startswith('.') for part in file.relative_to(folder).parts):
                continue
            data = file.read_bytes()
            if not data:
                return [f'half: {file.name}: empty']
            try:
                _READERS.get(file.suffix, bytes)(data)
            except Exception as error:  # noqa: BLE001 (every kind of file has its own)
                return [f'half: {file.name}: {error!r}']
    return []


def _rows(data: bytes) -> None:
    if len({len(row) for row in csv.reader(data.decode().splitlines())}) != 1 or data[-1:] != b'\n':
        raise ValueError('rows of several lengths')


def _pictures(data: bytes) -> None:
    with av.open(io.BytesIO(data), 'r') as container:
        if not any(True for _ in container.decode(video=0)):
            raise ValueError('no picture')


def _end(of: bytes) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        if not data.rstrip().endswith(of.rstrip()):
            raise ValueError('no end')

    return check


_READERS: dict[str, Callable[[bytes], object]] = {
    '.png': lambda data: decode_compressed(data, ''),
    '.json': json.loads,
    '.jsonl': lambda data: [json.loads(line) for line in data.splitlines()],
    '.yaml': yaml.safe_load,
    '.csv': _rows,
    '.mp4': _pictures,
    '.html': _end(b'</html>'),
    '.safetensors': load,
    '.mcap': _end(b'\x89MCAP0\r\n'),
}


def lost(verb: str, out: Path, checked: bool, *, whole: bool) -> list[str]:
    """Say what is missing though the status was 0.

    Args:
        verb: Of ``VERBS``.
        out: Where it wrote.
        checked: Every byte of the input's pictures is under a checksum, and the options are the usual.
        whole: Nothing was damaged.
    """
    if verb in {'segment', 'card', 'onnx'}:
        masks = sorted(out.glob('masks/*.png'))
        if len(masks) != FRAMES:
            return [f'lost: {len(masks)} masks']
        if verb == 'segment' and checked:
            digest = hashlib.sha256(b''.join(decode_mask(mask.read_bytes()).tobytes() for mask in masks))
            return [] if _same(digest.hexdigest()) else ['lost: other masks than those of the sound input']
    if verb == 'pick' and len([*out.glob('images/*.png')]) != 1:
        return ['lost: the picture']
    if verb == 'make':
        with open_source(out) as source:
            count = sum(1 for _ in source)
        return [] if count == FRAMES else [f'lost: {count} frames']
    if verb == 'evaluate':
        frames = json.loads((out / 'results.json').read_bytes())['configurations'][0]['frames']
        return [] if frames == FRAMES else [f'lost: {frames} frames evaluated']
    if verb in {'train', 'add'}:
        cards = [*out.glob('*.yaml')]
        return (
            []
            if cards and main(['models', 'verify', str(cards[0])]) == 0
            else ['lost: no card that verifies']
        )
    if verb == 'export' and whole and len([*out.iterdir()]) != 3:
        return ['lost: files']
    return []


_known: set[str] = set()


def _same(digest: str) -> bool:
    """Compare with the first digest that came."""
    _known.add(digest)
    return len(_known) == 1
