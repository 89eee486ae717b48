"""Parameters and operations without weights or pixels: everything lies on PyTorch's meta device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from vss_ros.engine.backbones import BACKBONES, Backbone
from vss_ros.engine.motion import MotionField
from vss_ros.engine.propagation import PROPAGATIONS, Propagation
from vss_ros.engine.propagation.base import Shapes, Space
from vss_ros.engine.view import View
from vss_ros.evaluation.cost import LEFT_OUT, count_flops

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation

FLOW_STRIDE = 4


class Bench:
    """A backbone and a propagation, and a frame with its motion.

    Args:
        backbone: Registered name.
        propagation: Registered name.
        size: Height and width of the image.
        classes: Number of classes.
        interior: Interior layer to cut the backbone at, 0 for its own.

    """

    def __init__(
        self, backbone: str, propagation: str, size: tuple[int, int], classes: int = 19, interior: int = 0
    ) -> None:
        """Build both and look at the frame."""
        options: dict[str, Any] = {'interior': interior} if interior else {}
        cls = PROPAGATIONS.get(propagation)
        with torch.device('meta'):
            self.net: Backbone = BACKBONES.get(backbone)(classes, **options).eval()
            self.moves: Propagation = cls(Shapes.of(self.net, cls.space)).eval()
        image, flow = meta(3, *size), meta(2, size[0] // FLOW_STRIDE, size[1] // FLOW_STRIDE)
        with torch.inference_mode():
            low = self.net.low(image)
        pixels = np.empty((1, *size, 3), np.uint8)  # nobody looks at them
        self.view = View(pixels, image, low, MotionField(flow, FLOW_STRIDE))

    def flops(self, formulas: dict[Any, Any] = LEFT_OUT) -> dict[str, float]:
        """Return 10^9 FLOPs of the parts, a multiply-add as two, and the sums ``key`` and ``between``.

        ``between`` is a frame between key frames without its motion estimator and scheduler.

        Args:
            formulas: As in ``count_flops``.

        """
        net, moves, view = self.net, self.moves, self.view
        giga: dict[str, float] = {}

        def count(part: str, run: Callable[[], Tensor]) -> Tensor:
            results: list[Tensor] = []
            giga[part] = count_flops(lambda: results.append(run()), formulas) / 1e9
            return results[0]

        count('low', lambda: net.low(view.image))
        high = count('high', lambda: net.high(view.low))
        logits = count('head', lambda: net.head(high))
        moved = high if moves.space is Space.FEATURES else logits
        with torch.inference_mode():
            source = moves.prepare(view)
        count('propagation', lambda: moves.propagate(source, moved, moves.prepare(view), view))
        giga['key'] = giga['low'] + giga['high'] + giga['head']
        giga['between'] = giga['propagation'] + giga['low'] * moves.needs_low
        giga['between'] += giga['head'] * (moves.space is Space.FEATURES)
        return giga

    def multiply_adds(self) -> dict[str, float]:
        """Return the same in 10^9 multiply-adds."""
        return {part: flops / 2 for part, flops in self.flops().items()}


def meta(*shape: int) -> Tensor:
    """Return a tensor ``(1, *shape)`` without values."""
    return torch.empty(1, *shape, device='meta')


def millions(*modules: nn.Module) -> float:
    """Return how many million parameters modules have."""
    return sum(p.numel() for module in modules for p in module.parameters()) / 1e6


def layers(*convolutions: tuple[int, int, int]) -> float:
    """Return the million parameters of biased convolutions ``(in_channels, out_channels, kernel)``."""
    weights = sum((before * kernel**2 + 1) * after for before, after, kernel in convolutions)
    return round(weights / 1e6, 3)


def decision(scheduler: PredictedDeviation, bench: Bench) -> float:
    """Return 10^9 multiply-adds of one decision; the key frame's half has been kept."""
    low = bench.view.low
    once = count_flops(lambda: scheduler.prepare(bench.view))
    return (count_flops(lambda: scheduler(low, low)) - once) / 2e9
