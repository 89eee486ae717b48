"""A tiny drive and recipe that tests of training learn from, and processes that train together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from vss_ros.datasets.labelled import LabelledVideo
from vss_ros.datasets.pairs import VideoPairs
from vss_ros.training.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn


def drive() -> VideoPairs:
    """Return six frames of a texture that moves to the left, with labels that move along."""
    rng = np.random.default_rng(0)
    wide = np.kron(rng.integers(0, 256, (8, 16, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
    ids = np.kron(rng.integers(0, 11, (8, 16), dtype=np.uint8), np.ones((8, 8), np.uint8))
    views = [slice(3 * i, 3 * i + 96) for i in range(6)]
    images = [np.ascontiguousarray(wide[:, view]) for view in views]
    labels = [np.ascontiguousarray(ids[:, view]) for view in views]
    places = list(range(6))
    return VideoPairs(LabelledVideo(images, labels, [f'{i}' for i in places], images, places, places))


def recipe(epochs: int) -> Recipe:
    """Return a recipe of two steps an epoch."""
    return Recipe(
        stage='pairs', model='x', epochs=epochs, batch=2, images_per_epoch=4, crop=(64, 96), distances=(2, 3)
    )


def changed(before: dict[str, torch.Tensor], module: nn.Module) -> set[str]:
    """Return the names of the parameters that are no longer what they were; all have to be finite."""
    parameters = dict(module.named_parameters())
    assert all(bool(torch.isfinite(value).all()) for value in parameters.values())
    return {name for name, value in parameters.items() if not torch.equal(value, before[name])}


def run_twice(*words: str) -> str:
    """Run Python in two processes as torchrun does; returns what they said."""
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2', *words]
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get('PYTHONPATH', '')])
    environment = os.environ | {'PYTHONPATH': paths}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout
