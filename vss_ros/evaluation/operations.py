"""Floating-point operations of each kind of answer, so that a replay can say what it would have cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from vss_ros.engine.frames import Track
from vss_ros.engine.motion.trail import MotionTrail
from vss_ros.engine.preprocess import IMAGENET, normalise
from vss_ros.engine.propagation.base import Space
from vss_ros.engine.view import View
from vss_ros.engine.whole_network import WholeNetwork
from vss_ros.evaluation.cost import count_flops

if TYPE_CHECKING:
    from vss_ros.engine.pipeline import Parts


@dataclass(frozen=True, slots=True)
class FrameOperations:
    """Operations of one frame by who answered it; a multiply-add counts two.

    As ``evaluation.cost`` counts: optical flow by OpenCV and networks from files take none, which PyTorch
    does not see.
    """

    whole: int
    """The whole network and nothing else, as with ``propagation: none``."""
    by_track: dict[Track, int]
    """A fast key frame includes what its slow track computes."""


def frame_operations(parts: Parts, size: tuple[int, int], device: torch.device) -> FrameOperations:
    """Count the operations of each kind of frame.

    Args:
        parts: In evaluation mode, on ``device``.
        size: Height and width of the network's input.
        device: Where they are.

    """
    backbone, propagation, scheduler = parts.backbone, parts.propagation, parts.scheduler
    before, view = _views(parts, size, device)
    low, high = view.low, backbone.high(view.low)
    costs = {
        'low': count_flops(lambda: backbone.low(view.image)),
        'high': count_flops(lambda: backbone.high(low)),
        'head': count_flops(lambda: backbone.head(high)),
    }
    whole = sum(costs.values())
    if propagation is None:
        return FrameOperations(whole, {Track.FULL: whole})
    network = WholeNetwork(backbone, propagation, scheduler)
    source, source_high = propagation.prepare(before), network.compute(network.entry(before))
    compared = scheduler.prepare(before)
    every = count_flops(lambda: scheduler.decide(1, compared, scheduler.prepare(view), view))
    every += costs['low'] if network.needs_low else 0
    if parts.motion is not None:
        motion, earlier = parts.motion, parts.motion.prepare(before)
        every += count_flops(lambda: motion.estimate(earlier, motion.prepare(view), view))
    move = count_flops(lambda: propagation.propagate(source, source_high, propagation.prepare(view), view))
    ends = costs['head'] if propagation.space is Space.FEATURES else 0
    slow = whole - ends - (costs['low'] if network.needs_low else 0)
    by_track = {
        Track.FULL: every + slow + ends,
        Track.PROPAGATED: every + move + ends,
        Track.FAST: every + move + ends + slow,
    }
    return FrameOperations(whole, by_track)


@torch.inference_mode()
def _views(parts: Parts, size: tuple[int, int], device: torch.device) -> tuple[View, View]:
    """Return two random frames with all that any part looks at."""
    trail, views = MotionTrail(parts.motion), []
    rng = np.random.default_rng(0)
    for _ in range(2):
        pixels = rng.integers(0, 256, (1, *size, 3), dtype=np.uint8)
        image = normalise(torch.from_numpy(pixels).to(device), IMAGENET)
        views.append(trail.follow(View(pixels, image, parts.backbone.low(image), camera=size)))
    return views[0], views[1]
