"""A backbone at int8: a file of OpenVINO's, quantised when the weights were trained."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from vss_ros.engine.model_card import weights_path
from vss_ros.engine.runtimes.openvino import core, openvino
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from pathlib import Path

    from vss_ros.engine.model_card import ModelCard

OUTPUTS = ('low', 'high', 'logits')
"""What the file answers of pixels ``(1, H, W, 3)`` uint8."""


class QuantisedBackbone:
    """Holds the whole network and gives out the part between two of its features."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def between(self, start: str, end: str) -> Any:
        """Return the part from ``pixels`` or a feature to a later feature, as a model of one input."""
        model = self._model.clone()
        results = {result.get_friendly_name(): result for result in model.get_results()}
        parameters = model.get_parameters()
        if start != 'pixels':
            source = results[start].input_value(0)
            parameters = [openvino().opset13.parameter(source.partial_shape, source.element_type)]
            for target in source.get_target_inputs():
                target.replace_source_output(parameters[0].output(0))
        return openvino().Model([openvino().opset13.result(results[end].input_value(0))], parameters)


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
        data = [path.read_bytes() for path in paths]
    except OSError as error:
        raise VssError(
            f'{error.filename}: the int8 weights of card {card.name} cannot be read ({error.strerror}); '
            'restore the file, or use precision bf16 or f32'
        ) from error
    actual, expected = hashlib.sha256(b''.join(data)).hexdigest(), card.int8.get('sha256', '')
    if actual != expected:
        raise VssError(
            f'{paths[0]}: expected sha256 {expected} of both files of int8 weights, got {actual}; one is '
            'damaged or belongs to another card: restore all from one release'
        )
    return QuantisedBackbone(core().read_model(model=data[0], weights=data[1]))


def quantised_paths(weights: Path) -> tuple[Path, Path]:
    """Return where the int8 graph and its weights lie, beside the ordinary weights."""
    return weights.with_suffix('.int8.xml'), weights.with_suffix('.int8.bin')
