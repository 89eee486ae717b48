"""A backbone as one graph, and as files for other software: ONNX and OpenVINO's IR."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from vss_ros.engine.preprocess import Normalisation, normalise
from vss_ros.engine.runtimes.onnxruntime import exported
from vss_ros.engine.runtimes.openvino import converted, openvino
from vss_ros.files import write_whole

if TYPE_CHECKING:
    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.model_card import ModelCard

Input = Literal['pixels', 'image']
FORMATS = ('onnx', 'openvino')


class WholeGraph(nn.Module):
    """The whole of a backbone.

    Args:
        backbone: In evaluation mode.
        card: Says how pixels are normalised.
        given: ``pixels``, RGB ``(1, H, W, 3)`` uint8, which the graph normalises; or ``image``, normalised
            already, ``(1, 3, H, W)`` float32.
    """

    def __init__(self, backbone: Backbone, card: ModelCard, given: Input = 'pixels') -> None:
        super().__init__()
        self.backbone, self._given = backbone, given
        self._statistics = Normalisation(card.mean, card.std)  # type: ignore[arg-type]
        self.eval()

    def forward(self, given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return F_l, F_h and logits."""
        low = self.backbone.low(normalise(given, self._statistics) if self._given == 'pixels' else given)
        high = self.backbone.high(low)
        return low, high, self.backbone.head(high)

    def example(self, size: tuple[int, int]) -> Tensor:
        """Return an input of this height and width."""
        if self._given == 'pixels':
            return torch.zeros((1, *size, 3), dtype=torch.uint8)
        return torch.zeros((1, 3, *size))


class _Logits(nn.Module):
    def __init__(self, whole: WholeGraph) -> None:
        super().__init__()
        self.whole = whole
        self.eval()

    def forward(self, given: Tensor) -> tuple[Tensor]:
        return (self.whole(given)[2],)


def export_network(
    backbone: Backbone,
    card: ModelCard,
    size: tuple[int, int],
    folder: Path,
    kind: str,
    given: Input,
) -> list[Path]:
    """Write a network, ``pixels`` or ``image`` in and ``logits`` out, for one size; returns the files.

    Raises:
        VssError: What the format needs is not installed.
    """
    whole = WholeGraph(backbone, card, given)
    work, example = _Logits(whole), whole.example(size)
    with torch.no_grad():
        if kind == 'onnx':
            path = folder / f'{card.name}.onnx'
            write_whole(path, exported(work, [example], [given], ['logits']))
            return [path]
        model = converted(work, [example])
    model.reshape(list(example.shape))
    name_ports(model, given, ['logits'])
    simplify(model)
    paths = [folder / f'{card.name}{suffix}' for suffix in ('.bin', '.xml')]
    for path, data in zip(paths, reversed(ir_bytes(model)), strict=True):
        write_whole(path, data)
    return paths


def name_ports(model: Any, given: str, answers: list[str]) -> None:
    """Call the input and the outputs of an OpenVINO model so."""
    named = [*zip(model.inputs, [given], strict=True), *zip(model.outputs, answers, strict=True)]
    for port, name in named:
        port.get_tensor().set_names({name})
        port.get_node().set_friendly_name(name)


def simplify(model: Any) -> None:
    """Fold batch norms and constants of an OpenVINO model, as its own converter does: fewer, larger steps."""
    from openvino._offline_transformations import apply_moc_transformations

    apply_moc_transformations(model, cf=False)


def ir_bytes(model: Any) -> tuple[bytes, bytes]:
    """Return what goes into the ``.xml`` and the ``.bin`` of a model, weights at half precision."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'network.xml'
        openvino().save_model(model, path, compress_to_fp16=True)
        return _numbered(path.read_bytes()), path.with_suffix('.bin').read_bytes()


def _numbered(graph: bytes) -> bytes:
    """Name the layers of an ``.xml`` by their numbers; OpenVINO counts on from run to run."""
    graph = re.sub(rb'<net name="[^"]*"', b'<net name="network"', graph, count=1)
    return re.sub(
        rb'(<layer id="(\d+)" name=")[^"]*(" type="((?!Parameter|Result)\w+)")', rb'\1\4_\2\3', graph
    )
