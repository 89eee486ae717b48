"""Faults that a node meets at its start, and signals in every state: each starts a node of its own."""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import torch
from safetensors.torch import load_file, save_file

from experiments.robot import LostError, started
from vss_ros.live.run import START_SECONDS
from vss_ros.resources import resource

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from vss_ros.live.run import Child

    Start = Callable[[Path, random.Random], None]

NAME = 'efficientnet_lite0_fpn'
LIGHT = ('runtime:=torch', 'precision:=f32', 'threads:=1')
STOPS_S = 2.0
STARTS: Final[dict[str, Start]] = {}


def start(function: Start) -> Start:
    """Register a class under the function's name."""
    STARTS[function.__name__] = function
    return function


def card_beside_weights(folder: Path) -> Path:
    """Copy a model into a folder; return its card's path."""
    for suffix in ('.yaml', '.safetensors'):
        shutil.copy(resource('models', NAME + suffix), folder)
    return folder / f'{NAME}.yaml'


def ends(node: Child, status: int = 1) -> None:
    """Wait for the node's end: it has to have said why in one line, without a traceback."""
    deadline = time.monotonic() + START_SECONDS
    while node.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    said = node.log.read_text(errors='replace')
    reasons = [
        line for line in said.splitlines() if 'cannot configure' in line or 'segmentation_node:' in line
    ]
    if node.poll() != status or 'Traceback' in said or len(reasons) != 1:
        raise LostError(f'status {node.poll()}, expected {status} and one line why: {said[-500:]}')


@start
def nan_weights(folder: Path, rng: random.Random) -> None:
    """Weights that are no numbers, with a card that knows their hash."""
    card = card_beside_weights(folder)
    file = card.with_suffix('.safetensors')
    before, weights = hashlib.sha256(file.read_bytes()).hexdigest(), load_file(file)
    key = rng.choice([key for key, value in weights.items() if value.is_floating_point()])
    weights[key].view(-1)[rng.randrange(weights[key].numel())] = rng.choice([torch.nan, torch.inf])
    save_file(weights, file)
    card.write_text(card.read_text().replace(before, hashlib.sha256(file.read_bytes()).hexdigest()))
    with started(folder, [f'model:={card}', *LIGHT]) as node:
        ends(node)


@start
def damaged_weights(folder: Path, rng: random.Random) -> None:
    """Weights that end early, or of which a byte is another."""
    card = card_beside_weights(folder)
    file = card.with_suffix('.safetensors')
    data = bytearray(file.read_bytes())
    place = rng.randrange(len(data))
    if rng.random() < 0.5:
        del data[place:]
    else:
        data[place] ^= 1 << rng.randrange(8)
    file.write_bytes(data)
    with started(folder, [f'model:={card}', *LIGHT]) as node:
        ends(node)


@start
def damaged_card(folder: Path, rng: random.Random) -> None:
    """A card that is no card: it ends early, or is another file."""
    card = card_beside_weights(folder)
    text = card.read_text()
    card.write_bytes(
        rng.choice([b'', rng.randbytes(2000), text[: rng.randrange(150)].encode(), b'[1, 2', b'a: b'])
    )
    with started(folder, [f'model:={card}', *LIGHT]) as node:
        ends(node)


@start
def wrong_start(folder: Path, rng: random.Random) -> None:
    """Values that cannot be."""
    wrong = [
        'model:=no_such_model', 'device:=meta', 'threshold:=-1.0', 'track:=sideways', 'size:=361x480',
        'interval:=many', 'runtime:=magic', 'precision:=f7', 'threads:=-3', 'scheduler:=none', 'qos:=always',
        'mask_encoding:=rgb8', 'propagation:=sideways', 'diagnostics_period:=0.0', 'device:=cuda:99',
    ]  # fmt: skip
    with started(folder, [rng.choice(wrong)]) as node:
        ends(node)


@start
def signals(folder: Path, rng: random.Random) -> None:
    """A signal in each state, perhaps a second one: exit status 0, soon."""
    state = rng.choice(['unconfigured', 'active', 'working'])
    words = [*LIGHT, f'autostart:={str(state != "unconfigured").lower()}']
    camera = None
    with started(folder, words) as node:
        node.wait_for('waits for' if state == 'unconfigured' else 'waiting for images', START_SECONDS)
        try:
            if state == 'working':
                words = ['-m', 'vss_ros.live.still_camera', '480x640', '--frames', '1000']
                camera = subprocess.Popen([sys.executable, *words])
                time.sleep(rng.uniform(1, 3))
            number = rng.choice([signal.SIGINT, signal.SIGTERM])
            began = time.monotonic()
            for _ in range(rng.randrange(1, 3)):
                node.signal(number)
                time.sleep(rng.uniform(0, 0.3))
            while node.poll() is None and time.monotonic() < began + 10 * STOPS_S:
                time.sleep(0.01)
        finally:
            if camera is not None:
                camera.kill()
                camera.wait()
        took = time.monotonic() - began
        if node.poll() != 0 or took > STOPS_S or 'Traceback' in node.log.read_text():
            raise LostError(f'{state}, {number.name}: status {node.poll()} after {took:.1f} s')


@start
def weights_change_under_the_node(folder: Path, rng: random.Random) -> None:
    """The file of a running node is overwritten: it goes on; the next one refuses the file."""
    card = card_beside_weights(folder)
    with started(folder, [f'model:={card}', *LIGHT]) as node:
        node.wait_for('waiting for images', START_SECONDS)
        file = card.with_suffix('.safetensors')
        data = bytearray(file.read_bytes())
        data[rng.randrange(len(data))] ^= 255
        file.write_bytes(data)
        time.sleep(0.5)
        node.check('when its weights changed')
    with started(folder, [f'model:={card}', *LIGHT]) as node:
        ends(node)
