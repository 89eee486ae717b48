"""Learned motion estimators on frame pairs that nobody labelled with flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import avg_pool2d

from vss_ros.engine.motion import MOTIONS, MotionEstimator, MotionField
from vss_ros.engine.preprocess import IMAGENET, normalise
from vss_ros.engine.view import View
from vss_ros.training.loop import CLIP, run_epochs
from vss_ros.training.triples import Drawable, TripleBatches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torch import Tensor

    from vss_ros.data.pairs import Triple
    from vss_ros.training.recipe import Recipe

TEACHER = 'dis'
PHOTOMETRIC, SMOOTH = 1.0, 0.1
"""Weights beside the distance from the teacher."""


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

    Neither real streets nor stills come with flow, so a searched field (DIS) is the teacher, and the image
    itself corrects it: the previous image warped along the field has to look like the current one, and
    neighbouring cells move alike where the image has no edge. GSVNet and the distortion-aware paper start
    from Flying Chairs instead; its motion is not that of a drive.

    Args:
        recipe: What to do.
        estimators: Freshly built.
        data: Where triples come from, by the recipe's names; the first is the main one.
        watch: From the averaged estimators to figures for the curve file.
        folder: Where ``checkpoint.pt`` and ``curve.jsonl`` go.
        resume: Continue from the folder's checkpoint if there is one.

    """
    torch.manual_seed(recipe.seed)
    estimators.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    teacher = MOTIONS.get(TEACHER)()

    def step(triples: list[Triple], rng: np.random.Generator) -> dict[str, float]:
        # Any two of the three frames, so that hops are near and far.
        earlier, later = [(0, 1), (1, 2), (1, 2), (0, 2)][rng.integers(4)]
        frames = [(t.key, t.between, t.current) for t in triples]
        previous, current = (_view([frame[i] for frame in frames]) for i in (earlier, later))
        with torch.no_grad():
            target = teacher(previous, current)
        losses = {}
        for name, estimator in estimators.named():
            loss = motion_loss(estimator(previous, current), target, previous, current)
            loss.backward()
            nn.utils.clip_grad_norm_(estimator.parameters(), CLIP)
            losses[name] = loss.item()
        return losses

    groups = [{'params': list(estimators.parameters()), 'lr': recipe.rate}]
    return run_epochs(
        recipe,
        estimators,
        groups,
        lambda _, rng: TripleBatches(recipe, data, rng),
        step,
        watch,
        folder,
        resume=resume,
    )


def motion_loss(field: MotionField, target: MotionField, previous: View, current: View) -> Tensor:
    """Return distance from the teacher plus photometric and smoothness terms, robust (Charbonnier) each.

    Args:
        field: Estimated.
        target: The teacher's, at whatever stride.
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


def _view(images: list[np.ndarray[Any, np.dtype[np.uint8]]]) -> View:
    pixels = np.stack(images)
    return View(pixels, normalise(torch.from_numpy(pixels), IMAGENET))
