"""Operations as the papers count them: by the formulas of their tables, and by shapes."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from vss_ros.engine.backbones import BACKBONES, Backbone
from vss_ros.engine.motion import MotionField
from vss_ros.engine.propagation import PROPAGATIONS, Propagation
from vss_ros.engine.propagation.base import Shapes, Space
from vss_ros.engine.view import View
from vss_ros.evaluation.replay.operations import LEFT_OUT, count_flops

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation

    Shape = Sequence[int]

Size = tuple[int, int]
"""Height and width."""


def convolution(in_channels: int, out_channels: int, kernel: Size, out_size: Size) -> int:
    """Return the FLOPs of a convolution: ``2 H_o W_o (C_i K_h K_w + 1) C_o``.

    Args:
        in_channels: C_i, in a grouped convolution the channels of one group.
        out_channels: C_o, of all groups.
        kernel: K_h and K_w.
        out_size: H_o and W_o, after stride and padding.

    """
    return 2 * _cells(out_size) * (in_channels * _cells(kernel) + 1) * out_channels


def depthwise_convolution(channels: int, kernel: Size, out_size: Size) -> int:
    """Return the FLOPs of a depthwise convolution: the convolution's row with one input channel each.

    A separable convolution is this and ``convolution`` with a kernel of 1 x 1.

    Args:
        channels: Channels of input and output.
        kernel: K_h and K_w.
        out_size: H_o and W_o.

    """
    return convolution(1, channels, kernel, out_size)


def deconvolution(in_channels: int, out_channels: int, kernel: Size, out_size: Size) -> int:
    """Return the FLOPs of a transposed convolution: the convolution's row as it stands, by its output.

    This is what Table II counts for CFNet, and stride squared times what is computed: of the K_h x K_w
    taps, only those of one input cell in stride x stride meet an output cell.

    Args:
        in_channels: C_i.
        out_channels: C_o.
        kernel: K_h and K_w.
        out_size: H_o and W_o, before anything is cropped.

    """
    return convolution(in_channels, out_channels, kernel, out_size)


def bilinear_upsampling(out_channels: int, out_size: Size) -> int:
    """Return the FLOPs of bilinear upsampling: ``11 H_o W_o C_o``."""
    return 11 * _cells(out_size) * out_channels


def bilinear_warp(channels: int, size: Size) -> int:
    """Return the FLOPs of warping along a motion field: every value is interpolated, as in upsampling."""
    return bilinear_upsampling(channels, size)


def batch_normalisation(in_channels: int, in_size: Size) -> int:
    """Return the FLOPs of batch normalisation: ``2 H_i W_i C_i``."""
    return 2 * _cells(in_size) * in_channels


def relu(in_channels: int, in_size: Size) -> int:
    """Return the FLOPs of ReLU or leaky ReLU: ``H_i W_i C_i``."""
    return _cells(in_size) * in_channels


def _cells(size: Size) -> int:
    return size[0] * size[1]


def _convolution(
    in_shape: Shape,
    kernel: Shape,
    _bias: Shape | None,
    _stride: Shape,
    _padding: Shape,
    _dilation: Shape,
    transposed: bool,
    *_: Any,
    out_shape: Shape,
) -> int:
    """Count a convolution of PyTorch's; a plain kernel's second side is the channels of one group."""
    sides, size = (kernel[2], kernel[3]), (out_shape[2], out_shape[3])
    if transposed:
        return in_shape[0] * deconvolution(kernel[0], out_shape[1], sides, size)
    return in_shape[0] * convolution(kernel[1], out_shape[1], sides, size)


def _interpolation(*_: Any, out_shape: Shape, **__: Any) -> int:
    return prod(out_shape[:2]) * bilinear_upsampling(1, (out_shape[2], out_shape[3]))


def _norm(in_shape: Shape, *_: Any, **__: Any) -> int:
    return prod(in_shape[:2]) * batch_normalisation(1, (in_shape[2], in_shape[3]))


def _relu(in_shape: Shape, *_: Any, **__: Any) -> int:
    return prod(in_shape)


_ATEN = torch.ops.aten
TABLE_FORMULAS: dict[Any, Any] = {
    _ATEN.convolution: _convolution,
    _ATEN.upsample_bilinear2d: _interpolation,
    # By their own names too, or the counter would take them apart before it looks here.
    _ATEN.upsample_bilinear2d.default: _interpolation,
    _ATEN.upsample_bilinear2d.vec: _interpolation,
    _ATEN.grid_sampler_2d: _interpolation,
    _ATEN._native_batch_norm_legit_no_training: _norm,
    _ATEN.cudnn_batch_norm: _norm,
    **dict.fromkeys((_ATEN.relu, _ATEN.relu_, _ATEN.leaky_relu, _ATEN.leaky_relu_), _relu),
    **dict.fromkeys((_ATEN.hardtanh, _ATEN.hardtanh_), _relu),  # ReLU6
}
"""The same for PyTorch's ``FlopCounterMode(custom_mapping=...)``, for networks in evaluation mode."""


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
        pixels = np.empty((1, *size, 3), np.uint8)  # not looked at
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
