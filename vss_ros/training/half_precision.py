"""Shipped weights take half the room where that costs no score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vss_ros.evaluation.card_scores import differences

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn


def rounded_scores(module: nn.Module, score: Callable[[], dict[str, Any]] | None) -> dict[str, Any]:
    """Round matrices and kernels to half precision unless a score moves by more than verifying allows.

    Left single is what takes no room (one-dimensional: biases, batch-norm statistics) and what is beyond half
    precision's range. ``save_card`` then stores in half precision what half precision holds.

    Args:
        module: Trained; changed in place, or left as it is where rounding costs too much.
        score: Measures it; None rounds unseen.

    Returns:
        Scores of the module as it is afterwards. With them, of classes only their mean, those before as
        ``full_precision`` or, where rounding costs too much, those it would have as ``half_precision``.
        Nothing without ``score``.

    """
    whole = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    before = {} if score is None else score()
    module.load_state_dict({name: _rounded(tensor) for name, tensor in whole.items()})
    if score is None:
        return {}
    after = score()
    if any(differences(before, after)):
        module.load_state_dict(whole)
        return before | {'half_precision': _means(after)}
    return after | {'full_precision': _means(before)}


def _means(scores: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in scores.items() if name != 'per_class_iou'}


def _rounded(tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point() or tensor.dim() < 2:
        return tensor
    half = tensor.half()
    return half.to(tensor.dtype) if half.isfinite().all() else tensor
