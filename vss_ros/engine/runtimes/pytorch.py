"""PyTorch itself: the reference, what training runs in, and what CUDA devices run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from vss_ros.engine.motion.field import MotionField
from vss_ros.engine.runtimes.base import RUNTIMES, Cut, Graph, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn


@RUNTIMES.register('torch')
class TorchRuntime(Runtime):
    """PyTorch, layer by layer; at bf16 by autocast."""

    name: ClassVar = 'torch'
    precisions: ClassVar = ('f32', 'bf16')
    compiles: ClassVar = False

    def compile(
        self,
        work: nn.Module,
        inputs: Sequence[Tensor],  # noqa: ARG002
        cut: Cut | None = None,  # noqa: ARG002
    ) -> Callable[[], Graph]:
        """Return the work as it is."""
        return lambda: lambda tensors: work(*tensors)

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a piece; what it answers is float32 at either precision."""
        if self.precision == 'f32':
            return function(*arguments)
        with torch.autocast(self.device.type, torch.bfloat16):
            return _float(function(*arguments))


def _float(answer: Any) -> Any:
    if isinstance(answer, Tensor):
        return answer.float()
    if isinstance(answer, MotionField):
        return MotionField(answer.flow.float(), answer.stride, answer.holes)
    return tuple(map(_float, answer))
