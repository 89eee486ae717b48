"""What each part of a segmenter costs: parameters, operations and time."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from vss_ros.engine.frames import AnsweredBy
from vss_ros.engine.layers.fuse import fuse_for_inference, has_fused_convolution
from vss_ros.engine.motion.trail import MotionTrail
from vss_ros.engine.preprocess import IMAGENET, normalise
from vss_ros.engine.propagation.base import Space
from vss_ros.engine.view import View
from vss_ros.engine.whole_network import WholeNetwork

if TYPE_CHECKING:
    from collections.abc import Callable

    from vss_ros.engine.pipeline import Parts


REPEATS = 5
BILINEAR_FLOPS = 11
"""Of one bilinearly interpolated value (distortion-aware paper, Table I)."""


def _addcmul(tensor: tuple[int, ...], *_: Any, **__: Any) -> int:
    """Count one shift of a spatially variant convolution: a multiplication and an addition a value."""
    return 2 * prod(tensor)


def _warp(features: tuple[int, ...], grid: tuple[int, ...], *_: Any, **__: Any) -> int:
    return BILINEAR_FLOPS * features[0] * features[1] * grid[1] * grid[2]


def _conv_activation(image: tuple[int, ...], weight: tuple[int, ...], *_: Any, **shapes: Any) -> int:
    return conv_flop_count(list(image), list(weight), list(shapes['out_shape']))


LEFT_OUT: dict[Any, Any] = {
    torch.ops.aten.addcmul_: _addcmul,
    torch.ops.aten.addcmul: _addcmul,
    torch.ops.aten.grid_sampler_2d: _warp,
}
"""What PyTorch's counter takes for free: warps, shifted sums and convolutions merged with their activation.
Formulas get shapes in place of tensors."""
if has_fused_convolution():
    LEFT_OUT[torch.ops.mkldnn._convolution_pointwise] = _conv_activation


@dataclass(frozen=True, slots=True)
class PartCost:
    """One part at one input size."""

    part: str
    """``low``, ``high``, ``head``, ``motion``, ``propagation`` or ``scheduler``."""
    parameters: int
    flops: int
    """By PyTorch's counter, a multiply-add as two, plus what it leaves out: warps and shifted sums."""
    milliseconds: float
    """Median of a few runs."""


def part_costs(parts: Parts, size: tuple[int, int], device: torch.device) -> list[PartCost]:
    """Measure every part of a segmenter on random frames.

    Args:
        parts: In evaluation mode, on ``device``; batch norms are folded away before times are taken.
        size: Height and width of the network's input.
        device: Where it runs.

    """
    backbone, propagation, scheduler = parts.backbone, parts.propagation, parts.scheduler
    views = _views(parts, size, device)
    view = views[1]
    with torch.inference_mode():
        high = backbone.high(view.low)
    runs: dict[str, tuple[nn.Module | None, Callable[[], Any]]] = {
        'low': (None, lambda: backbone.low(view.image)),
        'high': (None, lambda: backbone.high(view.low)),
        'head': (None, lambda: backbone.head(high)),
    }
    if parts.motion is not None:
        motion = parts.motion
        with torch.inference_mode():
            before = motion.prepare(views[0])
        runs['motion'] = (motion, lambda: motion.estimate(before, motion.prepare(view), view))
    if propagation is not None:
        moves = propagation
        network = WholeNetwork(backbone, moves, scheduler)
        with torch.inference_mode():
            source, source_high = moves.prepare(views[0]), network.compute(network.entry(views[0]))
        runs['propagation'] = (
            moves,
            lambda: moves.propagate(source, source_high, moves.prepare(view), view),
        )
        with torch.inference_mode():
            key = scheduler.prepare(views[0])
        runs['scheduler'] = (scheduler, lambda: scheduler.decide(1, key, scheduler.prepare(view), view))
    used = _backbone_parameters(backbone, view.image)
    parameters = {part: used.get(part, 0) if m is None else _count(m) for part, (m, _) in runs.items()}
    counts = {part: count_flops(run) for part, (_, run) in runs.items()}
    for module in (backbone, propagation, scheduler, parts.motion):
        if module is not None:
            fuse_for_inference(module, device)  # as it runs on the robot; the papers count batch norms
    return [
        PartCost(part, parameters[part], counts[part], _milliseconds(run, device))
        for part, (_, run) in runs.items()
    ]


def frame_costs(costs: list[PartCost], parts: Parts) -> dict[str, PartCost]:
    """Return the sums over a key frame by the whole network and over a frame between key frames.

    Args:
        costs: Of ``part_costs``.
        parts: The same parts; they say who looks at F_l and whether the head runs.

    """
    by_name = {cost.part: cost for cost in costs}
    key = ['low', 'high', 'head']
    sums = {'whole network': _sum('whole network', [by_name[part] for part in key])}
    if parts.propagation is not None:
        between = ['propagation', 'scheduler', *(['motion'] if parts.motion is not None else [])]
        if parts.propagation.needs_low or parts.scheduler.needs_low:
            between.append('low')
        if parts.propagation.space is Space.FEATURES:
            between.append('head')
        sums['between key frames'] = _sum('between key frames', [by_name[part] for part in between])
    return sums


def _views(parts: Parts, size: tuple[int, int], device: torch.device) -> list[View]:
    """Return two random frames with all that any part looks at."""
    trail = MotionTrail(parts.motion)
    rng = np.random.default_rng(0)
    views = []
    with torch.inference_mode():
        for _ in range(2):
            pixels = rng.integers(0, 256, (1, *size, 3), dtype=np.uint8)
            image = normalise(torch.from_numpy(pixels).to(device), IMAGENET)
            views.append(trail.follow(View(pixels, image, parts.backbone.low(image), camera=size)))
            if len(views) == 1:
                trail.mark_key_frame()
    return views


def _backbone_parameters(backbone: nn.Module, image: torch.Tensor) -> dict[str, int]:
    """Count each parameter where it is used first: low, high or head."""
    parameters = dict(backbone.named_parameters())
    users: dict[str, set[str]] = {part: set() for part in ('low', 'high', 'head')}
    current = ''

    def note(module: nn.Module, _: Any) -> None:
        users[current].update(id_name[id(p)] for p in module.parameters(recurse=False) if id(p) in id_name)

    id_name = {id(parameter): name for name, parameter in parameters.items()}
    hooks = [module.register_forward_pre_hook(note) for module in backbone.modules()]
    try:
        with torch.inference_mode():
            value = image
            for part in users:
                current = part
                value = getattr(backbone, part)(value)
    finally:
        for hook in hooks:
            hook.remove()
    seen: set[str] = set()
    counts = {}
    for part, names in users.items():
        counts[part] = sum(parameters[name].numel() for name in names - seen)
        seen |= names
    return counts


def count_flops(run: Callable[[], Any], formulas: dict[Any, Any] = LEFT_OUT) -> int:
    """Return the floating-point operations of a call, a multiply-add as two; the meta device will do.

    Args:
        run: What is counted.
        formulas: Added to those of PyTorch's counter, or in their place.

    """
    with torch.inference_mode(), FlopCounterMode(display=False, custom_mapping=formulas) as counter:
        run()
    return int(counter.get_total_flops())


def _milliseconds(run: Callable[[], Any], device: torch.device) -> float:
    times = []
    with torch.inference_mode():
        for _ in range(REPEATS + 1):  # the first pays for first calls
            start = perf_counter()
            run()
            if device.type == 'cuda':
                torch.cuda.synchronize(device)
            times.append(perf_counter() - start)
    return median(times[1:]) * 1000


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _sum(name: str, costs: list[PartCost]) -> PartCost:
    return PartCost(
        name,
        sum(cost.parameters for cost in costs),
        sum(cost.flops for cost in costs),
        sum(cost.milliseconds for cost in costs),
    )


@dataclass(frozen=True, slots=True)
class FrameOperations:
    """Operations of one frame by who answered it; a multiply-add counts two.

    As ``evaluation.cost`` counts: optical flow by OpenCV and networks from files take none, which PyTorch
    does not see.
    """

    whole: int
    """The whole network and nothing else, as with ``propagation: none``."""
    by_track: dict[AnsweredBy, int]
    """A fast key frame includes what its slow track computes."""


def frame_operations(parts: Parts, size: tuple[int, int], device: torch.device) -> FrameOperations:
    """Count the operations of each kind of frame.

    Args:
        parts: In evaluation mode, on ``device``.
        size: Height and width of the network's input.
        device: Where they are.

    """
    backbone, propagation, scheduler = parts.backbone, parts.propagation, parts.scheduler
    before, view = _two_views(parts, size, device)
    low, high = view.low, backbone.high(view.low)
    costs = {
        'low': count_flops(lambda: backbone.low(view.image)),
        'high': count_flops(lambda: backbone.high(low)),
        'head': count_flops(lambda: backbone.head(high)),
    }
    whole = sum(costs.values())
    if propagation is None:
        return FrameOperations(whole, {AnsweredBy.FULL: whole})
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
        AnsweredBy.FULL: every + slow + ends,
        AnsweredBy.PROPAGATED: every + move + ends,
        AnsweredBy.FAST: every + move + ends + slow,
    }
    return FrameOperations(whole, by_track)


@torch.inference_mode()
def _two_views(parts: Parts, size: tuple[int, int], device: torch.device) -> tuple[View, View]:
    """Return two random frames with all that any part looks at."""
    trail, views = MotionTrail(parts.motion), []
    rng = np.random.default_rng(0)
    for _ in range(2):
        pixels = rng.integers(0, 256, (1, *size, 3), dtype=np.uint8)
        image = normalise(torch.from_numpy(pixels).to(device), IMAGENET)
        views.append(trail.follow(View(pixels, image, parts.backbone.low(image), camera=size)))
    return views[0], views[1]
