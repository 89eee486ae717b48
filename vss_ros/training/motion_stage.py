"""Learned motion estimators on frame pairs: exact flow where it is known, a searched one elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import avg_pool2d

from vss_ros.engine.device import CPU, device_of
from vss_ros.engine.motion import MOTIONS, MotionEstimator, MotionField
from vss_ros.engine.preprocess import IMAGENET, normalise
from vss_ros.engine.view import View
from vss_ros.training.loop import Loss, train_side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from vss_ros.datasets.pairs import Triple
    from vss_ros.training.data_sets import Drawable
    from vss_ros.training.recipe import Recipe

TEACHER = 'dis'
PHOTOMETRIC, SMOOTH = 1.0, 0.1
"""Weights beside the endpoint error."""


class Estimators(nn.Module):
    """Motion estimators that learn from the same pairs and share nothing else.

    Args:
        estimators: By registered name.

    """

    def __init__(self, estimators: dict[str, MotionEstimator]) -> None:
        """Hold them."""
        super().__init__()
        self.estimators = nn.ModuleDict(estimators)

    def named(self) -> Iterator[tuple[str, MotionEstimator]]:
        """Iterate over the estimators with their names."""
        for name, module in self.estimators.items():
            assert isinstance(module, MotionEstimator)
            yield name, module


def train_motion(
    recipe: Recipe,
    estimators: Estimators,
    data: dict[str, Drawable],
    watch: Callable[[Estimators], dict[str, Any]],
    folder: Path,
    *,
    resume: bool,
) -> Estimators:
    """Train motion estimators and return their averages in evaluation mode.

    Stills in synthetic motion come with exact flow. Real and simulated drives do not: there, and where the
    exact flow has gaps, a searched field (DIS) is the teacher, and the image itself corrects it: the previous
    image warped along the field has to look like the current one, and neighbouring cells move alike where the
    image has no edge. GSVNet and the distortion-aware paper start from Flying Chairs instead; its motion is
    not that of a drive.

    Args:
        recipe: What to do.
        estimators: Freshly built.
        data: Where triples come from, by the recipe's names; the first is the main one.
        watch: From the averaged estimators to figures for the curve file.
        folder: Where ``checkpoint.pt`` and ``curve.jsonl`` go.
        resume: Continue from the folder's checkpoint if there is one.

    """
    teacher = MOTIONS.get(TEACHER)()
    device = device_of(estimators)

    def losses(triples: list[Triple], rng: np.random.Generator) -> Iterator[Loss]:
        # Near hops and, every third time, far ones; both end in the frame that exact flow starts from.
        far = rng.integers(3) == 0
        flows = [t.to_key if far else t.to_between for t in triples]
        previous = _view([t.key if far else t.between for t in triples], device)
        current = _view([t.current for t in triples], device)
        with torch.no_grad():
            target = exact_where_known(flows, teacher(previous, current))
        for name, estimator in estimators.named():
            yield Loss(name, estimator, motion_loss(estimator(previous, current), target, previous, current))

    return train_side_by_side(recipe, estimators, data, losses, watch, folder, resume=resume)


def exact_where_known(flows: Sequence[NDArray[np.float32] | None], guess: MotionField) -> MotionField:
    """Return what is to be learned: the exact flow, and the teacher's guess where there is none.

    Args:
        flows: Of each pair, ``(H, W, 2)`` pixels with NaN where unknown, or None (`Triple.to_key`).
        guess: The teacher's field of all pairs.

    """
    if all(flow is None for flow in flows):
        return guess
    rough = guess.at(1)
    exact = torch.full_like(rough.flow, torch.nan)
    for pair, flow in enumerate(flows):
        if flow is not None:
            exact[pair] = torch.from_numpy(flow).to(exact.device).movedim(-1, 0)
    return MotionField(torch.where(exact.isnan(), rough.flow, exact), 1)


def motion_loss(field: MotionField, target: MotionField, previous: View, current: View) -> Tensor:
    """Return endpoint error plus photometric and smoothness terms, robust (Charbonnier) each.

    Args:
        field: Estimated.
        target: What it should be, at whatever stride.
        previous: Where the field leads to.
        current: Where it starts.

    """
    before, now = (avg_pool2d(view.image, field.stride) for view in (previous, current))
    distance = _charbonnier((field.flow - target.at(field.stride).flow).square().sum(1))
    likeness = _charbonnier((field.warp(before) - now).square().mean(1))
    rough = _gradient(field.flow, now)
    return distance.mean() + PHOTOMETRIC * likeness.mean() + SMOOTH * rough


def _gradient(flow: Tensor, image: Tensor) -> Tensor:
    """Return the flow's mean gradient, less where the image has an edge."""
    total = flow.new_zeros(())
    for axis in (2, 3):
        edge = image.diff(dim=axis).abs().mean(1, keepdim=True)
        total = total + (flow.diff(dim=axis).abs() * torch.exp(-4 * edge)).mean()
    return total


def _charbonnier(squared: Tensor) -> Tensor:
    return torch.sqrt(squared + 1e-4)


def _view(images: list[np.ndarray[Any, np.dtype[np.uint8]]], device: torch.device = CPU) -> View:
    pixels = np.stack(images)
    return View(pixels, normalise(torch.from_numpy(pixels).to(device), IMAGENET))
