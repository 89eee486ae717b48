"""PyTorch itself: the reference, what training runs in, and what CUDA devices run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from vss_ros.engine.motion.field import MotionField
from vss_ros.engine.runtimes.base import RUNTIMES, Cut, Graph, Runtime
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from vss_ros.engine.model_card import ModelCard

DTYPES = {'bf16': torch.bfloat16, 'f16': torch.float16}
WARM_UP = 3
"""Runs before a graph is captured, in which cuDNN looks for its algorithms."""


@RUNTIMES.register('torch')
class TorchRuntime(Runtime):
    """PyTorch; on CPUs layer by layer, on CUDA one graph a piece. Lower precisions are autocast's."""

    name: ClassVar = 'torch'
    precisions: ClassVar = ('f32', 'bf16', 'f16')

    def __init__(self, device: torch.device, precision: str, threads: int) -> None:
        super().__init__(device, precision, threads)
        self.compiles = device.type == 'cuda'

    @classmethod
    def candidates(cls, card: ModelCard, device: torch.device) -> list[str]:  # noqa: ARG003
        """Return f16 on CUDA, where it is twice as fast, f32 elsewhere."""
        return ['f16' if device.type == 'cuda' else 'f32']

    def open(self, card: ModelCard) -> None:  # noqa: ARG002
        """Refuse f16 on a CPU, where it is slower than f32."""
        if self.precision == 'f16' and self.device.type == 'cpu':
            raise VssError('precision f16: expected a CUDA device, got a CPU; use bf16, f32 or auto')

    def compile(
        self,
        work: nn.Module,
        inputs: Sequence[Tensor],
        cut: Cut | None = None,  # noqa: ARG002
    ) -> Callable[[], Graph]:
        """Return what captures a CUDA graph, on a stream of the thread's own."""
        return lambda: _CudaGraph(self, work, inputs)

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a piece; what it answers is float32 at any precision."""
        if self.precision == 'f32':
            return function(*arguments)
        with torch.autocast(self.device.type, DTYPES[self.precision]):
            return _float(function(*arguments))


class _CudaGraph:
    """One piece captured once: all its kernels start by one call, and buffers never move."""

    def __init__(self, runtime: TorchRuntime, work: nn.Module, inputs: Sequence[Tensor]) -> None:
        self._stream = torch.cuda.Stream(runtime.device)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.stream(self._stream), torch.inference_mode():
            self._inputs = [given.clone() for given in inputs]
            for _ in range(WARM_UP):
                runtime.run(work, *self._inputs)
            self._stream.synchronize()
            # The other track may be computing meanwhile, in a thread of its own.
            with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode='thread_local'):
                self._outputs = runtime.run(work, *self._inputs)

    def __call__(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            for place, given in zip(self._inputs, inputs, strict=True):
                place.copy_(given, non_blocking=True)
            self._graph.replay()
            answers = tuple(output.clone() for output in self._outputs)
        self._stream.synchronize()  # another thread, on another stream, may take them up
        return answers


def _float(answer: Any) -> Any:
    if isinstance(answer, Tensor):
        return answer.float()
    if isinstance(answer, MotionField):
        return MotionField(answer.flow.float(), answer.stride, answer.holes)
    return tuple(map(_float, answer))
