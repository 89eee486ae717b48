"""ONNX Runtime: for the machines whose accelerator it serves."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from vss_ros.engine.network_files import onnxruntime, providers, session_options
from vss_ros.engine.runtimes.base import RUNTIMES, Cut, Graph, Runtime
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn


@RUNTIMES.register('onnxruntime')
class OnnxRuntime(Runtime):
    """One session a piece, exported from PyTorch; on CUDA by TensorRT or CUDA, whichever the package has."""

    name: ClassVar = 'onnxruntime'

    def compile(
        self,
        work: nn.Module,
        inputs: Sequence[Tensor],
        cut: Cut | None = None,  # noqa: ARG002
    ) -> Callable[[], Graph]:
        """Return what opens a session; see :class:`Runtime`."""
        names = [f'input_{number}' for number in range(len(inputs))]
        data = exported(work, inputs, names)
        return lambda: self._session(data, names)

    def _session(self, data: bytes, names: list[str]) -> Graph:
        ort = onnxruntime()
        session = ort.InferenceSession(data, session_options(ort), providers=providers(ort, self.device))
        read = {given.name for given in session.get_inputs()}

        def run(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
            arrays = {
                name: tensor.contiguous().cpu().numpy()
                for name, tensor in zip(names, tensors, strict=True)
                if name in read
            }
            return tuple(torch.from_numpy(answer).to(self.device) for answer in session.run(None, arrays))

        return run


def exported(
    work: nn.Module, inputs: Sequence[Tensor], names: Sequence[str], outputs: Sequence[str] = (), **more: Any
) -> bytes:
    """Return a module as an ONNX file for inputs of these shapes; ``more`` goes to ``torch.onnx.export``.

    Raises:
        VssError: The packages onnx and onnxscript, which PyTorch exports with, are missing.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise VssError(
            f'exporting a network to ONNX needs the packages onnx and onnxscript ({error}): pip install onnx '
            'onnxscript, or choose another runtime'
        ) from error
    file = io.BytesIO()
    torch.onnx.export(
        work, tuple(inputs), file,  # type: ignore[arg-type]
        input_names=list(names), output_names=list(outputs) or None, dynamo=False, opset_version=18, **more,
    )  # fmt: skip
    return file.getvalue()
