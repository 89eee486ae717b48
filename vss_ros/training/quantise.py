"""Whole networks at int8, made of trained ones by NNCF: weights and activations of 8 bits."""

from __future__ import annotations

import hashlib
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vss_ros.engine.model_card import weights_path, write_card
from vss_ros.engine.network_export import WholeGraph, ir_bytes, name_ports, simplify
from vss_ros.engine.preprocess import network_size, scaled
from vss_ros.engine.runtimes.openvino import OUTPUTS, QuantisedBackbone, converted, quantised_paths
from vss_ros.errors import VssError
from vss_ros.evaluation.card_scores import int8_scores
from vss_ros.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from numpy.typing import NDArray

    from vss_ros.datasets.labelled import LabelledImages
    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.model_card import ModelCard

MOST_LOST = 0.3
"""mIoU, of a hundred, that int8 may cost: ``precision: auto`` takes the fastest and looks at nothing else."""


def quantise(
    card: ModelCard,
    module: Backbone,
    images: Sequence[NDArray[np.uint8]],
    count: int,
    made: dict[str, Any],
    watched: LabelledImages | None,
    prefix: str,
) -> ModelCard:
    """Write int8 weights beside a card's and say so on the card, unless they lose too much; returns the card.

    Where all of the network at int8 loses too much, its first and last convolution, which see the pixels and
    give the logits, stay as they are. The same images give the same weights: nothing is drawn by chance.

    Args:
        card: With the path that it was read from, or has been written to.
        module: With the card's weights.
        images: To calibrate with, none of them scored on; RGB, any size.
        count: How many of them to take, evenly spread.
        made: What the card shall say of how it was done, beside numbers and versions.
        watched: To score on; None scores nothing.
        prefix: Of the scores' names, such as ``camvid_val``.

    Raises:
        VssError: NNCF is not installed, or there are fewer images.
    """
    if len(images) < count:
        raise VssError(f'int8: expected {count} stills to calibrate with, got {len(images)}; ask for fewer')
    places = np.linspace(0, len(images) - 1, count).round().astype(int)
    taken = [_input(images[place], card, module) for place in places]
    module = module.cpu().eval().requires_grad_(False)
    versions = {'nncf': load_nncf().__version__, 'openvino': version('openvino')}
    made = made | {'stills': count, 'versions': versions}
    for kept in ((), ('first convolution', 'last convolution')):
        data = ir_bytes(quantised(module, card, taken, ends=not kept))
        says = {'sha256': hashlib.sha256(b''.join(data)).hexdigest(), 'made': made}
        if kept:
            says['made'] = made | {'full_precision': list(kept)}
        if watched is not None:
            says['scores'] = scores = int8_scores(module, QuantisedBackbone(*data), watched, prefix)
            lost = round(100 * (scores[f'{prefix}_miou_f32'] - scores[f'{prefix}_miou']), 2)
            if lost > MOST_LOST:
                print(f'{card.name}: int8 loses {lost} mIoU{" again" * bool(kept)}, {MOST_LOST} is allowed')
                continue
        return _written(card.model_copy(update={'int8': says}), data)
    print(f'{card.name}: no int8 weights are written; precision bf16 and f32 remain')
    return card.model_copy(update={'int8': {}})


def _written(card: ModelCard, data: tuple[bytes, bytes]) -> ModelCard:
    for path, part in zip(quantised_paths(weights_path(card)), data, strict=True):
        write_whole(path, part)
    write_card(card, Path(card.path).parent)  # last, for it has their hash
    return card


def quantised(
    module: Backbone, card: ModelCard, stills: Sequence[NDArray[np.uint8]], *, ends: bool = True
) -> Any:
    """Return a network as OpenVINO's model at int8: pixels of any size in, F_l, F_h and logits out.

    Args:
        module: In evaluation mode, without gradients.
        card: Says how pixels are normalised.
        stills: To calibrate with, ``(H, W, 3)`` as the network sees them.
        ends: Whether the first and the last convolution are at int8, too.
    """
    nncf = load_nncf()
    graph = WholeGraph(module, card)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of the tracer: what becomes a constant may
        model = converted(graph, [graph.example((stills[0].shape[0], stills[0].shape[1]))])
    model.reshape([1, -1, -1, 3])
    simplify(model)  # or batch norms would keep their own ranges between a convolution and its activation
    preset = nncf.QuantizationPreset.MIXED  # activations with a zero point: many are never negative
    dataset = nncf.Dataset([still[None] for still in stills])
    found = [op.get_friendly_name() for op in model.get_ordered_ops() if op.get_type_name() == 'Convolution']
    scope = None if ends else nncf.IgnoredScope(names=[found[0], found[-1]])
    answer = nncf.quantize(model, dataset, preset=preset, subset_size=len(stills), ignored_scope=scope)
    name_ports(answer, 'pixels', list(OUTPUTS))
    return answer


def load_nncf() -> ModuleType:
    """Return the module; raise a ``VssError`` where it is not installed."""
    try:
        import nncf
    except ImportError as error:
        raise VssError(
            f'int8 weights are made by the Python package nncf ({error}): pip install nncf, or leave int8 out'
        ) from error
    return nncf  # type: ignore[no-any-return]


def _input(image: NDArray[np.uint8], card: ModelCard, module: Backbone) -> NDArray[np.uint8]:
    size = network_size((image.shape[0], image.shape[1]), card.input_size, module.size_step)
    return np.ascontiguousarray(image if image.shape[:2] == size else scaled(image, size))
