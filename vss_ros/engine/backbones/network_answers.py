"""What a user's network answers: which output counts, what its numbers are, and logits made of them."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import torch

from vss_ros.errors import VssError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

SURE = 10.0
"""Logit of the class that a network without logits answers; the others' is 0. Of 11 classes a probability
of 0.9995, so that ``~/confidence`` falls with the age of the answer only."""
LEAST, COARSE = 1e-30, 6e-8
"""Smallest probability that counts, and the smallest that half precision or a distance from 1 can tell."""


class Kind(Enum):
    """What an output's numbers are."""

    LOGITS = 'logits'
    PROBABILITIES = 'probabilities, a softmax being inside'
    LABELS = 'labels'
    SIGMOID = 'one probability, which from 0.5 on is the second class'
    ONE_LOGIT = 'one logit, which from 0 on is the second class'


def _planes(output: Tensor, classes: int) -> Tensor | None:
    """Return an output as ``(1, classes, h, w)``, or ``(1, 1, h, w)`` of labels; None where it is neither."""
    shape = tuple(output.shape)
    if len(shape) not in {3, 4} or shape[0] != 1 or 0 in shape:
        return None
    if len(shape) == 3:
        return output[:, None]
    for channels in (classes, 1):
        if shape[1] == channels:
            return output
        if shape[3] == channels:
            return output.movedim(-1, 1)
    return None


def choose_output(outputs: Mapping[str, Tensor], classes: int, wanted: str) -> str:
    """Return the output that counts: the one ``wanted`` or, where that is empty, the likeliest by its shape.

    That is one with a channel for each class before one of labels, and of several the finest, the first.

    Raises:
        VssError: There is none.
    """
    if wanted and wanted not in outputs:
        raise VssError(f'expected one of the outputs {", ".join(outputs)}, got {wanted!r}; name one of them')
    found = {
        name: _planes(output, classes) for name, output in outputs.items() if name == wanted or not wanted
    }
    fitting = {name: planes for name, planes in found.items() if planes is not None}
    if not fitting:
        shapes = ', '.join(f'{name} of shape {tuple(outputs[name].shape)}' for name in found)
        raise VssError(
            f"expected logits (1, {classes}, h, w) of the card's {classes} classes or labels (1, h, w), got "
            f'an output {shapes}; name the classes it was trained on, or export it with such an output'
        )
    return max(fitting, key=lambda name: (fitting[name].shape[1] == classes, fitting[name][0, 0].numel()))


def kind_of(outputs: Sequence[Tensor], classes: int) -> Kind:
    """Return what the numbers of an output are, by its values for a few images."""
    planes = [planes for output in outputs if (planes := _planes(output, classes)) is not None]
    share = all(bool(((p >= -1e-3) & (p <= 1 + 1e-3)).all()) for p in planes)
    if planes[0].shape[1] == classes and classes > 1:
        one = all(bool(((p.float().sum(1) - 1).abs() < 1e-2).all()) for p in planes)
        return Kind.PROBABILITIES if share and one else Kind.LOGITS
    if planes[0].shape[1] == classes:
        return Kind.LOGITS
    if classes != 2 or not planes[0].is_floating_point():
        return Kind.LABELS
    return Kind.SIGMOID if share else Kind.ONE_LOGIT


def as_logits(output: Tensor, classes: int, kind: Kind | None = None) -> Tensor:
    """Return an output as logits ``(1, C, h, w)`` float32; ``kind`` is by default that of this output.

    Raises:
        VssError: It has another shape, or its values are not of this kind.
    """
    choose_output({'': output}, classes, '')
    planes, kind = _planes(output, classes), kind or kind_of([output], classes)
    assert planes is not None
    if kind is Kind.LABELS:
        return _one_hot(planes[:, 0], classes)
    logits = planes.float()
    if kind is Kind.ONE_LOGIT:
        return torch.cat((torch.zeros_like(logits), logits), 1)
    if kind is Kind.LOGITS:
        return logits
    if bool((logits < -1e-3).any()) or bool((logits > 1 + 1e-3).any()):
        raise VssError(
            f'expected {kind.value}, as of the first images, got values from {float(logits.min()):g} to '
            f'{float(logits.max()):g}; export it with logits'
        )
    # Of these a softmax makes the probabilities again.
    if kind is Kind.SIGMOID:
        return torch.cat((1 - logits, logits), 1).clamp(min=COARSE).log()
    return logits.clamp(min=COARSE if output.dtype == torch.float16 else LEAST).log()


def _one_hot(labels: Tensor, classes: int) -> Tensor:
    ids = labels.long()
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= classes or not (ids.dtype == labels.dtype or bool((ids == labels.double()).all())):
        lowest, highest = float(labels.double().min()), float(labels.double().max())
        raise VssError(
            f'expected labels that are whole numbers from 0 to {classes - 1}, got values from {lowest:g} to '
            f'{highest:g}; name the classes it was trained on, or export it with one channel per class'
        )
    logits = torch.zeros((1, classes, *labels.shape[1:]), device=labels.device)
    return logits.scatter_(1, ids[:, None], SURE)
