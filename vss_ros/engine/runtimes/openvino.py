"""OpenVINO: the default on CPUs."""

from __future__ import annotations

import hashlib
import io
import sys
import threading
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from vss_ros.engine.model_card import weights_path
from vss_ros.engine.network_files import EXTERNAL_DATA, fed
from vss_ros.engine.runtimes.base import RUNTIMES, Cut, Graph, Runtime
from vss_ros.engine.runtimes.kept import keep, kept
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import ModuleType

    from torch import Tensor, nn

    from vss_ros.engine.model_card import ModelCard
    from vss_ros.engine.network_files import Network


OUTPUTS = ('low', 'high', 'logits')
"""What a file of int8 weights answers of pixels ``(1, H, W, 3)`` uint8."""


_LOOPS = frozenset({'Loop', 'TensorIterator'})


PROBED = 256
"""Height and width, pixels, at which the strides of features are found out; a multiple of all strides."""


@RUNTIMES.register('openvino')
class OpenVinoRuntime(Runtime):
    """One graph a piece, traced from PyTorch once and compiled for each thread that runs it meanwhile.

    With one thread a graph runs in the thread that calls it, with that thread's priority: the slow track's
    stays as nice as its thread is.
    """

    name: ClassVar = 'openvino'
    precisions: ClassVar = ('f32', 'bf16', 'int8')
    quantised: QuantisedBackbone | None = None
    """The backbone at int8, where that is the precision."""

    @classmethod
    def candidates(cls, card: ModelCard, device: torch.device) -> list[str]:  # noqa: ARG003
        """Return bf16 where the processor has it, else f32, and int8 where the model ships it."""
        return ['bf16' if has_bf16() else 'f32', *(['int8'] if card.int8 else [])]

    def open(self, card: ModelCard) -> None:
        """Read the int8 weights, where that is the precision; refuse bf16 where the processor lacks it."""
        if self.precision == 'int8':
            self.quantised = read_quantised(card)
        if self.precision == 'bf16' and not has_bf16():
            raise VssError(
                'precision bf16: expected a processor that computes in bfloat16, got one without; use f32, '
                'int8 or auto'
            )

    def compile(
        self, work: nn.Module, inputs: Sequence[Tensor], cut: Cut | None = None
    ) -> Callable[[], Graph]:
        """Return what makes a graph; see :class:`Runtime`."""
        if self.quantised is not None and cut is not None:
            quantised, given = self.quantised, inputs[0].shape
            return lambda: _OpenVinoGraph(quantised.compiled(cut, given, self.settings))
        model = converted(work, inputs)
        model.reshape({number: list(given.shape) for number, given in enumerate(inputs)})
        return lambda: _OpenVinoGraph(core().compile_model(model, 'CPU', self.settings))

    def network(self, data: bytes) -> Network:
        """Return a user's network; see :class:`Runtime`."""
        return _UsersNetwork(data, self)

    @property
    def settings(self) -> dict[str, Any]:
        """Properties of a graph: few threads, not bound to cores, which the other track needs too."""
        return {
            'INFERENCE_NUM_THREADS': self.threads,
            'NUM_STREAMS': 1,
            'ENABLE_CPU_PINNING': False,
            'INFERENCE_PRECISION_HINT': 'f32' if self.precision == 'f32' or not has_bf16() else 'bf16',
        }


class _OpenVinoGraph:
    """A compiled graph; its inputs are views of the caller's memory, its outputs buffers used in turn."""

    def __init__(self, compiled: Any) -> None:
        self._request = compiled.create_infer_request()
        self._outputs = [_Buffers(tuple(port.shape), port.element_type) for port in compiled.outputs]

    def __call__(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        held = [given.contiguous().numpy() for given in inputs]  # until the graph has read them
        for number, array in enumerate(held):
            self._request.set_input_tensor(number, openvino().Tensor(array, shared_memory=True))
        taken = [buffers.take() for buffers in self._outputs]
        for number, buffer in enumerate(taken):
            self._request.set_output_tensor(number, buffer.tensor)
        self._request.infer()
        return tuple(torch.from_numpy(buffer.array) for buffer in taken)


class _UsersNetwork:
    """A network from an ``.onnx``; a graph for each thread and size."""

    parameters = 0

    def __init__(self, data: bytes, runtime: OpenVinoRuntime) -> None:
        if EXTERNAL_DATA in data:
            raise VssError("expected weights in the same file, which the card's hash is of")
        self._model = model = core().read_model(model=data)
        if any(operation.get_type_name() in _LOOPS for operation in model.get_ops()):
            raise VssError('expected no loop, for one that does not end cannot be stopped')
        (given,) = model.inputs
        kinds = {'f32': torch.float32, 'f16': torch.float16, 'f64': torch.float64, 'u8': torch.uint8}
        kind = given.element_type.get_type_name()
        if kind not in kinds:
            raise VssError(f'expected an image of floats or bytes, got {kind}')
        self.input_type, self._settings = kinds[kind], runtime.settings
        dimensions = given.partial_shape
        self.input_shape = tuple(d.get_length() if d.is_static else None for d in dimensions)
        self._names = [sorted(port.get_names()) or [str(number)] for number, port in enumerate(model.outputs)]
        self._chosen = range(len(self._names))
        self._graphs: dict[Any, _OpenVinoGraph] = {}

    def choose(self, output: str) -> None:
        """See :class:`Network`."""
        if len(self._names) == 1:
            return
        place = next(place for place, names in enumerate(self._names) if output in names)
        self._chosen = range(place, place + 1)
        self._graphs.clear()

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        """See :class:`Network`."""
        given = fed(image, self)
        key = (threading.get_ident(), given.shape)
        if key not in self._graphs:
            model = self._model.clone()
            results = model.get_results()
            model = openvino().Model([results[place] for place in self._chosen], model.get_parameters())
            model.reshape(list(given.shape))
            self._graphs[key] = _OpenVinoGraph(core().compile_model(model, 'CPU', self._settings))
        answers = self._graphs[key]([given])
        named = (self._names[place] for place in self._chosen)
        return {name: answer for names, answer in zip(named, answers, strict=True) for name in names}


class _Buffer:
    """Memory of one output."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.array = np.empty(shape, dtype)
        self.tensor = openvino().Tensor(self.array, shared_memory=True)
        self._references = sys.getrefcount(self.array)

    @property
    def is_free(self) -> bool:
        """No tensor is left that views it."""
        return sys.getrefcount(self.array) == self._references


class _Buffers:
    """Buffers of one output: what a graph answered stays valid for as long as anybody holds it."""

    def __init__(self, shape: tuple[int, ...], element_type: Any) -> None:
        self._shape, self._dtype = shape, np.dtype(element_type.to_dtype())
        self._all: list[_Buffer] = []

    def take(self) -> _Buffer:
        """Return one that is free, a new one where all are held."""
        for buffer in self._all:
            if buffer.is_free:
                return buffer
        self._all.append(_Buffer(self._shape, self._dtype))
        return self._all[-1]


def converted(work: nn.Module, inputs: Sequence[Tensor]) -> Any:
    """Return a module as OpenVINO's model, traced with these inputs.

    Through the front end itself: ``openvino.convert_model`` does the same and would report home.
    """
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    front_end = FrontEndManager().load_by_framework('pytorch')
    # A function, its weights constants: tracing the module would first make a copy of every layer in it.
    traced = torch.jit.trace(
        lambda *tensors: work(*tensors),  # noqa: PLW0108 (the module itself would be traced as one)
        tuple(inputs),
        check_trace=False,
    )
    decoder = TorchScriptPythonDecoder(traced)
    model = front_end.convert(front_end.load(decoder))
    there = {name: given for given in model.get_parameters() for name in given.output(0).get_names()}
    # The front end leaves out some inputs that nothing reads; callers count on all of them.
    names = [value.debugName() for value in traced.graph.inputs()]
    parameter = openvino().opset13.parameter
    complete = [
        there.get(name) or parameter(list(given.shape), given.numpy().dtype)
        for name, given in zip(names, inputs, strict=True)
    ]
    _forget(traced.graph)
    return openvino().Model(model.get_results(), complete)


def _forget(graph: Any) -> None:
    """Empty a traced function's graph: PyTorch keeps such functions, with their weights, for good."""
    while list(graph.outputs()):
        graph.eraseOutput(0)
    for node in reversed(list(graph.nodes())):
        node.destroy()


@cache
def openvino() -> ModuleType:
    """Return the module; raise a ``VssError`` where it is not installed."""
    try:
        import openvino as module
    except ImportError as error:
        raise VssError(
            f'runtime openvino needs the Python package openvino ({error}): pip install openvino, or '
            'choose runtime torch'
        ) from error
    return module  # type: ignore[no-any-return]


@cache
def core() -> Any:
    """Return OpenVINO's devices and compilers; one for the process, since opening it takes time."""
    return openvino().Core()


def has_bf16() -> bool:
    """Tell whether this processor computes in bfloat16."""
    return 'BF16' in core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES')


class QuantisedBackbone:
    """Holds the bytes of the whole network's files, and gives out the part between two features."""

    def __init__(self, graph: bytes, weights: bytes) -> None:
        self._graph, self._weights = graph, weights
        self.sha256 = hashlib.sha256(graph + weights).hexdigest()
        """Of both, by which compiled parts are kept for the next start."""

    def compiled(self, cut: Cut, given: Sequence[int], settings: dict[str, Any]) -> Any:
        """Return a part, compiled for an input of this shape: as an earlier start left it, if one did."""
        key = ('int8', self.sha256, cut, tuple(given), sorted(settings.items()), openvino().get_version())
        if (data := kept(*key)) is not None:
            with suppress(RuntimeError):  # of another build of the same version
                return core().import_model(io.BytesIO(data), 'CPU', settings)
        model = self._between(*cut, given)
        model.reshape(list(given))
        compiled = core().compile_model(model, 'CPU', settings)
        keep(compiled.export_model().getvalue(), *key)
        return compiled

    def _between(self, start: str, end: str, given: Sequence[int]) -> Any:
        """Return the part from ``pixels`` or a feature to a later feature, as a model of one input."""
        model = core().read_model(model=self._graph, weights=self._weights)
        results = {result.get_friendly_name(): result for result in model.get_results()}
        parameters = model.get_parameters()
        if start != 'pixels':
            source = results[start].input_value(0)
            model.reshape([1, PROBED, PROBED, 3])
            stride = PROBED // source.shape[-1]
            model.reshape([1, stride * given[-2], stride * given[-1], 3])
            _fix_sizes(model)
            parameters = [openvino().opset13.parameter(source.partial_shape, source.element_type)]
            for target in source.get_target_inputs():
                target.replace_source_output(parameters[0].output(0))
        return openvino().Model([openvino().opset13.result(results[end].input_value(0))], parameters)


def _fix_sizes(model: Any) -> None:
    """Make sizes constants: some are taken from maps before the cut, which the part does not have."""
    for operation in model.get_ordered_ops():
        if operation.get_type_name() == 'ShapeOf' and operation.input(0).get_partial_shape().is_static:
            output = operation.output(0)
            size = np.array(operation.input(0).get_shape(), output.element_type.to_dtype())
            output.replace(openvino().opset13.constant(size).output(0))


def read_quantised(card: ModelCard) -> QuantisedBackbone:
    """Return a card's network at int8.

    Raises:
        VssError: The card has none, or the files are missing or not the card's.
    """
    if not card.int8:
        raise VssError(
            f'model {card.name} has no int8 weights: expected `int8` in its card; use precision bf16 or f32, '
            'or make them with `vss models quantise`'
        )
    paths = quantised_paths(weights_path(card))
    try:
        quantised = QuantisedBackbone(*(path.read_bytes() for path in paths))
    except OSError as error:
        raise VssError(
            f'{error.filename}: the int8 weights of card {card.name} cannot be read ({error.strerror}); '
            'restore the file, or use precision bf16 or f32'
        ) from error
    if quantised.sha256 != (expected := card.int8.get('sha256', '')):
        raise VssError(
            f'{paths[0]}: expected sha256 {expected} of both files of int8 weights, got {quantised.sha256}; '
            'one is damaged or belongs to another card: restore all from one release'
        )
    return quantised


def quantised_paths(weights: Path) -> tuple[Path, Path]:
    """Return where the int8 graph and its weights lie, beside the ordinary weights."""
    return weights.with_suffix('.int8.xml'), weights.with_suffix('.int8.bin')
