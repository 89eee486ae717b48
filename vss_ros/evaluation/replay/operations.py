"""What each part of a segmenter costs: parameters, operations and time."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from vss_ros.engine.frames import AnsweredBy
from vss_ros.engine.layers.fuse import fuse_for_inference, has_fused_convolution
from vss_ros.engine.motion.base import MotionTrail
from vss_ros.engine.preprocess import IMAGENET, normalise
from vss_ros.engine.propagation.base import Space
from vss_ros.engine.view import View
from vss_ros.engine.whole_network import WholeNetwork

if TYPE_CHECKING:
    from collections.abc import Callable

    from vss_ros.engine.pipeline import Parts

REPEATS = 5
WHOLE = {'low', 'high', 'head'}
"""The parts of the whole network."""
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


class PartCost(NamedTuple):
    """One part at one input size."""

    part: str
    """``low``, ``high``, ``head``, ``motion``, ``propagation`` or ``scheduler``."""
    parameters: int
    flops: int
    """By PyTorch's counter, a multiply-add as two, plus what it leaves out: warps and shifted sums."""
    milliseconds: float
    """Median of a few runs."""


def part_costs(parts: Parts, size: tuple[int, int], device: torch.device) -> list[PartCost]:
    """Measure every part of a segmenter, in evaluation mode on this device, on random frames.

    The size is height and width of the network's input. Batch norms are folded away before times are taken.
    """
    runs = _runs(parts, size, device)
    modules: dict[str, nn.Module | None] = {
        'motion': parts.motion, 'propagation': parts.propagation, 'scheduler': parts.scheduler,
    }  # fmt: skip
    parameters = {
        name: sum(parameter.numel() for parameter in module.parameters())
        for name, module in modules.items()
        if module is not None
    }
    parameters |= _backbone_parameters(parts.backbone, torch.zeros(1, 3, *size, device=device))
    counts = {name: count_flops(run) for name, run in runs.items()}
    for module in (parts.backbone, *modules.values()):
        if module is not None:
            fuse_for_inference(module, device)  # as it runs on the robot; the papers count batch norms
    return [
        PartCost(name, parameters[name], counts[name], _milliseconds(run, device))
        for name, run in runs.items()
    ]


def _runs(parts: Parts, size: tuple[int, int], device: torch.device) -> dict[str, Callable[[], Any]]:
    """Return a call for the work of each part, by its name."""
    backbone, motion = parts.backbone, parts.motion
    propagation, scheduler = parts.propagation, parts.scheduler
    before, view = _views(parts, size, device)
    with torch.inference_mode():
        high = backbone.high(view.low)
        runs: dict[str, Callable[[], Any]] = {
            'low': lambda: backbone.low(view.image),
            'high': lambda: backbone.high(view.low),
            'head': lambda: backbone.head(high),
        }
        if motion is not None:
            earlier = motion.prepare(before)
            runs['motion'] = lambda: motion.estimate(earlier, motion.prepare(view), view)
        if propagation is not None:
            network = WholeNetwork(backbone, propagation, scheduler)
            source, cached = propagation.prepare(before), network.compute(network.entry(before))
            prepare, key = propagation.prepare, scheduler.prepare(before)
            runs['propagation'] = lambda: propagation.propagate(source, cached, prepare(view), view)
            runs['scheduler'] = lambda: scheduler.decide(1, key, scheduler.prepare(view), view)
    return runs


def frame_costs(costs: list[PartCost], parts: Parts) -> dict[str, PartCost]:
    """Return the sums of ``part_costs`` over a whole key frame and over a frame between key frames."""
    frames = {'whole network': WHOLE}
    if parts.propagation is not None:
        frames['between key frames'] = _between(parts)
    sums = {}
    for name, needed in frames.items():
        _, *columns = zip(*(cost for cost in costs if cost.part in needed), strict=True)
        sums[name] = PartCost(name, *map(sum, columns))
    return sums


def _between(parts: Parts) -> set[str]:
    """Return the parts that work on a frame between key frames."""
    needed = {'motion', 'propagation', 'scheduler'}
    if WholeNetwork(parts.backbone, parts.propagation, parts.scheduler).needs_low:
        needed.add('low')
    if parts.propagation is not None and parts.propagation.space is Space.FEATURES:
        needed.add('head')
    return needed


@torch.inference_mode()
def _views(parts: Parts, size: tuple[int, int], device: torch.device) -> list[View]:
    """Return two random frames with all that any part looks at."""
    trail = MotionTrail(parts.motion)
    rng = np.random.default_rng(0)
    views = []
    for _ in range(2):
        pixels = rng.integers(0, 256, (1, *size, 3), dtype=np.uint8)
        image = normalise(torch.from_numpy(pixels).to(device), IMAGENET)
        views.append(trail.follow(View(pixels, image, parts.backbone.low(image), camera=size)))
        if len(views) == 1:
            trail.mark_key_frame()
    return views


def _backbone_parameters(backbone: nn.Module, image: torch.Tensor) -> dict[str, int]:
    """Count each parameter where it is used first: low, high or head."""
    counts = dict.fromkeys(('low', 'high', 'head'), 0)
    uncounted = set(backbone.parameters())
    current = ''

    def note(module: nn.Module, _: Any) -> None:
        used = uncounted & set(module.parameters(recurse=False))
        counts[current] += sum(parameter.numel() for parameter in used)
        uncounted.difference_update(used)

    hooks = [module.register_forward_pre_hook(note) for module in backbone.modules()]
    try:
        with torch.inference_mode():
            value = image
            for current in counts:
                value = getattr(backbone, current)(value)
    finally:
        for hook in hooks:
            hook.remove()
    return counts


def count_flops(run: Callable[[], Any], formulas: dict[Any, Any] = LEFT_OUT) -> int:
    """Return the floating-point operations of a call, a multiply-add as two; the meta device will do.

    The formulas are added to those of PyTorch's counter, or stand in their place.
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


@dataclass(frozen=True, slots=True)
class FrameOperations:
    """Operations of one frame by who answered it; a multiply-add counts two.

    Optical flow by OpenCV and networks from files count none, as PyTorch does not see them.
    """

    whole: int
    """The whole network and nothing else, as with ``propagation: none``."""
    by_track: dict[AnsweredBy, int]
    """A fast key frame includes what its slow track computes."""


def frame_operations(parts: Parts, size: tuple[int, int], device: torch.device) -> FrameOperations:
    """Count the operations of each kind of frame; parts are in evaluation mode, size is height and width."""
    costs = {name: count_flops(run) for name, run in _runs(parts, size, device).items()}
    whole = sum(costs[name] for name in WHOLE)
    if parts.propagation is None:
        return FrameOperations(whole, {AnsweredBy.FULL: whole})
    between = _between(parts)
    propagated = sum(cost for name, cost in costs.items() if name in between)
    slow = sum(costs[name] for name in WHOLE - between)
    by_track = {
        AnsweredBy.FULL: propagated - costs['propagation'] + slow,
        AnsweredBy.PROPAGATED: propagated,
        AnsweredBy.FAST: propagated + slow,
    }
    return FrameOperations(whole, by_track)
