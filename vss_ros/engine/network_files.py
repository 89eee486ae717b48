"""Networks that come as a file with their own computation: ONNX and PyTorch's exported programs."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from vss_ros.errors import VssError

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

SUFFIXES = ('.onnx', '.pt2')

EXTERNAL_DATA = b'\n\x08location\x12'
"""The key under which an ``.onnx`` names the file its weights lie in, as it is encoded."""

Shape = tuple[int | None, ...]
"""None: any size."""
DEADLINE_S = 120.0
"""Seconds after which ONNX Runtime is stopped on a CPU: a file may hold a loop that does not end."""
INPUTS = {
    'tensor(float)': torch.float32,
    'tensor(float16)': torch.float16,
    'tensor(double)': torch.float64,
    'tensor(uint8)': torch.uint8,
}
"""What an image may be to a network, by ONNX Runtime's names; bytes are pixels as cameras have them."""


class Network(Protocol):
    """A network from a file."""

    input_shape: Shape
    input_type: torch.dtype
    parameters: int
    """Number of weights, 0 where the file does not tell."""

    def choose(self, output: str) -> None:
        """From now on answer this output alone."""

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        """Return what the network's outputs, by name, are for an image ``(1, 3, H, W)`` float32."""


def is_channels_last(shape: Shape) -> bool:
    """Say whether an input is ``(1, H, W, 3)``, as TensorFlow has it."""
    return len(shape) == 4 and shape[3] == 3 and shape[1] != 3


def sides(shape: Shape) -> Shape:
    """Return height and width of an input, None where any will do."""
    return shape[1:3] if is_channels_last(shape) else shape[2:4]


def check_image(shape: Shape, file: str) -> None:
    """Refuse a network whose input is no single image of three channels."""
    channels = 3 if is_channels_last(shape) else 1
    if len(shape) != 4 or shape[0] not in {1, None} or shape[channels] not in {3, None}:
        written = ', '.join('any' if side is None else str(side) for side in shape)
        raise VssError(
            f'{file}: expected an image (1, 3, H, W) or (1, H, W, 3) as input, got ({written}); export it '
            'with such an input'
        )


def fed(image: Tensor, network: Network) -> Tensor:
    """Return a float32 image ``(1, 3, H, W)`` in the order and type that a network's input has."""
    if is_channels_last(network.input_shape):
        image = image.movedim(1, -1)
    if network.input_type == torch.uint8:
        image = image.round().clamp(0, 255)
    return image.to(network.input_type).contiguous()


_trusted: set[str] = set()
"""SHA-256 of the programs that the user trusts."""


def trust(sha256: str) -> None:
    """Let this process open the ``.pt2`` with this hash: the user has said that its maker is trusted."""
    _trusted.add(sha256)


def open_network(file: str, data: bytes, device: torch.device) -> Network:
    """Open a network.

    Args:
        file: The file's name; its suffix says what the file is.
        data: The file's bytes. An ``.onnx`` is data: opening and running it computes and nothing else. A
            ``.pt2`` is a program: ``torch.export.load`` unpickles, so that a file made for the purpose runs
            what its maker likes. It is opened only after ``trust``.
        device: Where it shall run.

    Raises:
        VssError: Not a network of a known kind, more than one input, or no image, or what the device needs is
            missing; a program that is not trusted.
    """
    suffix = Path(file).suffix
    if suffix not in SUFFIXES:
        raise VssError(
            f'{file}: expected a network in a file ending in {" or ".join(SUFFIXES)}; export it as one'
        )
    network: Network = (OnnxNetwork if suffix == '.onnx' else ExportedNetwork)(file, data, device)
    return network


def joined(path: Path) -> bytes:
    """Return a network's file in one piece: weights that an ``.onnx`` keeps in a second file are put inside.

    Raises:
        VssError: The second file cannot be read, or the package ``onnx``, which only this needs, is missing.
    """
    data = path.read_bytes()
    if path.suffix != '.onnx' or EXTERNAL_DATA not in data:
        return data
    try:
        import onnx

        return bytes(onnx.load(path).SerializeToString())
    except Exception as error:  # also what protobuf says of more than 2 GB
        raise VssError(
            f'{path}: expected weights that can be put into one file, got {in_short(error)}; put the '
            'second file beside it and `pip install onnx`, or export with external_data=False'
        ) from error


class OnnxNetwork:
    """A network run by ONNX Runtime.

    It computes with as many threads as PyTorch does when it is opened. They sleep when there is nothing to
    do (ONNX Runtime's own way is to spin), because the other track shares the cores. The image is passed
    as a view of PyTorch's memory; of the output ONNX Runtime makes one copy. Weights in a second file are not
    looked for: it would lie outside the card's hash. Arguments and errors are those of ``open_network``.
    """

    parameters = 0

    def __init__(self, file: str, data: bytes, device: torch.device) -> None:
        self._ort = ort = onnxruntime()
        try:
            self._session = ort.InferenceSession(data, session_options(ort), providers=providers(ort, device))
        except Exception as error:  # ONNX Runtime's own have no common class
            raise VssError(_unreadable(file, 'an ONNX network', error)) from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in INPUTS:
            raise VssError(_wrong_inputs(file, [f'{i.name}: {i.type}' for i in inputs]))
        self._input, self.input_type = inputs[0].name, INPUTS[inputs[0].type]
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.input_shape: Shape = tuple(n if isinstance(n, int) else None for n in inputs[0].shape)
        self._deadline = DEADLINE_S if device.type == 'cpu' else None  # TensorRT compiles for minutes

    def choose(self, output: str) -> None:
        """See :class:`Network`."""
        self._outputs = [output]

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        """Return the outputs; those that are no tensors are left out."""
        answers = self._run(fed(image, self).cpu().numpy())
        return {
            name: torch.from_numpy(answer).to(image.device)
            for name, answer in zip(self._outputs, answers, strict=True)
            if isinstance(answer, np.ndarray) and answer.dtype.kind in 'biuf'
        }

    def _run(self, array: NDArray[Any]) -> Any:
        options = self._ort.RunOptions()
        options.log_severity_level = 4  # what goes wrong is said by us
        if self._deadline is None:
            return self._session.run(self._outputs, {self._input: array}, options)
        timer = threading.Timer(self._deadline, setattr, (options, 'terminate', True))
        timer.start()
        try:
            return self._session.run(self._outputs, {self._input: array}, options)
        except Exception as error:
            if options.terminate:
                raise TimeoutError(
                    f'no answer in {self._deadline:.0f} s; it may hold an endless loop'
                ) from error
            raise
        finally:
            timer.cancel()


class ExportedNetwork:
    """A program that ``torch.export.export`` has made; see ``open_network``."""

    def __init__(self, file: str, data: bytes, device: torch.device) -> None:
        if hashlib.sha256(data).hexdigest() not in _trusted:
            raise VssError(
                f'{file} is a program, which may do anything when it is opened; where you trust its maker, '
                'add --trust (the node: trust:=true), else ask for an .onnx'
            )
        log = logging.getLogger('torch.export')  # which has a page to say before it raises
        level = log.level
        log.setLevel(logging.CRITICAL)
        try:
            zipfile.ZipFile(io.BytesIO(data)).close()
            program = torch.export.load(io.BytesIO(data))
        except Exception as error:  # what pickle, zip and JSON raise
            raise VssError(_unreadable(file, 'an exported PyTorch program', error)) from error
        finally:
            log.setLevel(level)
        if device.type != 'cpu':
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, device)
        names = program.graph_signature.user_inputs
        values = [node.meta['val'] for node in program.graph.nodes if node.name in names]
        known = [isinstance(value, Tensor) and value.dtype in INPUTS.values() for value in values]
        if known != [True]:
            raise VssError(_wrong_inputs(file, [f'{v.dtype}' for v in values if isinstance(v, Tensor)]))
        self.input_shape: Shape = tuple(n if isinstance(n, int) else None for n in values[0].shape)
        self.input_type = values[0].dtype
        self.parameters = sum(p.numel() for p in program.parameters())
        self._module, self._output = program.module(), ''

    def choose(self, output: str) -> None:
        """See :class:`Network`."""
        self._output = output

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        """Return the tensors of a list or dictionary, called by their numbers or keys."""
        with torch.no_grad():
            leaves, _ = torch.utils._pytree.tree_flatten_with_path(self._module(fed(image, self)))
        named = {
            '.'.join(str(getattr(key, 'key', getattr(key, 'idx', key))) for key in path) or '0': leaf
            for path, leaf in leaves
        }
        return {
            name: leaf
            for name, leaf in named.items()
            if isinstance(leaf, Tensor) and self._output in {'', name}
        }


def onnxruntime() -> ModuleType:
    """Return the module; raise a ``VssError`` where it is not installed."""
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise VssError(
            f'an .onnx network needs the Python package onnxruntime ({error}): pip install onnxruntime'
        ) from error
    return ort  # type: ignore[no-any-return]


def session_options(ort: ModuleType) -> Any:
    """Return ONNX Runtime's options for a network that shares its cores with another track."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; it is chatty about what it optimises
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    # A folder that cannot be: otherwise weights would be looked for in the working directory.
    options.add_session_config_entry('session.model_external_initializers_file_folder_path', os.devnull)
    return options


def providers(ort: ModuleType, device: torch.device) -> list[Any]:
    """Return what ONNX Runtime runs on for a device, the fastest first; raise a ``VssError`` without any."""
    if device.type == 'cpu':
        return ['CPUExecutionProvider']
    there = ort.get_available_providers()
    if 'CUDAExecutionProvider' not in there:
        raise VssError(
            f"device {device}: expected an onnxruntime with 'CUDAExecutionProvider', got {there}; "
            'pip install onnxruntime-gpu in place of onnxruntime, or use the device cpu'
        )
    fast = [name for name in ('TensorrtExecutionProvider', 'CUDAExecutionProvider') if name in there]
    return [*((name, {'device_id': device.index or 0}) for name in fast), 'CPUExecutionProvider']


def _unreadable(file: str, kind: str, error: Exception) -> str:
    text = in_short(error)
    if 'xternal data' in text:
        return (
            f'{file}: expected a network with its weights in one file, got one whose weights lie in another; '
            'join them with `vss models add`, or export with torch.onnx.export(..., external_data=False)'
        )
    return f'{file}: expected {kind}, got a file that cannot be opened as one ({text}); export it again'


def _wrong_inputs(file: str, given: list[str]) -> str:
    return (
        f'{file}: expected a network with one input, an image (1, 3, H, W) of floats or bytes, got {given}; '
        'export it with such an input'
    )


def in_short(error: BaseException) -> str:
    """Return what an exception says after its class, in one line; of a long one beginning and end.

    The end holds the reason: runtimes tell first where they were.
    """
    text = ' '.join(f'{type(error).__name__}: {error}'.split())
    return text if len(text) <= 400 else f'{text[:100]} … {text[-300:]}'
