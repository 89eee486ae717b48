"""Checkpoints and live curve of a running training; what ships goes through ``engine.model_card``."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from vss_ros.errors import VssError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from vss_ros.training.ema import MovingAverage

NAME = 'checkpoint.pt'
CURVE = 'curve.jsonl'


def save_checkpoint(
    folder: Path, epoch: int, model: nn.Module, average: MovingAverage[Any], optimiser: torch.optim.Optimizer
) -> None:
    """Write the state after ``epoch`` whole epochs, replacing the former checkpoint in one step."""
    state = {
        'epoch': epoch,
        'model': model.state_dict(),
        'average': average.model.state_dict(),
        'updates': average.updates,
        'optimiser': optimiser.state_dict(),
    }
    partial = folder / f'{NAME}.part'
    torch.save(state, partial)
    partial.replace(folder / NAME)


def load_checkpoint(
    folder: Path, model: nn.Module, average: MovingAverage[Any], optimiser: torch.optim.Optimizer
) -> int:
    """Restore the last checkpoint and return the number of epochs done, 0 where there is none.

    Raises:
        VssError: It is of another network, or other things were trained beside it.

    """
    path = folder / NAME
    if not path.is_file():
        return 0
    state = torch.load(path, map_location='cpu', weights_only=True)
    try:
        model.load_state_dict(state['model'])
        average.model.load_state_dict(state['average'])
        optimiser.load_state_dict(state['optimiser'])
    except (KeyError, RuntimeError, ValueError) as error:
        msg = (
            f'{path}: expected the checkpoint of a run with this recipe, got one of another '
            f'({str(error).splitlines()[0]}); remove it, or name another folder by --runs'
        )
        raise VssError(msg) from error
    average.updates = state['updates']
    return int(state['epoch'])


def append_point(folder: Path, point: dict[str, Any], started: float) -> None:
    """Add an epoch's figures to the curve file and show them.

    Args:
        folder: Of the run.
        point: Figures by name.
        started: ``time.time()`` at the start of the epoch; its length is added as ``minutes``.

    """
    text = json.dumps(point | {'minutes': round((time.time() - started) / 60, 2)})
    tqdm.write(text)
    with (folder / CURVE).open('a') as file:
        file.write(text + '\n')


def trained_minutes(folder: Path) -> float:
    """Return the wall time of all epochs of a run, however often it was stopped and resumed."""
    points = (json.loads(line) for line in (folder / CURVE).read_text().splitlines())
    return round(sum(float(point.get('minutes', 0.0)) for point in points), 1)
