"""Shipped weights take half the room where that costs no score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vss_ros.evaluation.card_scores import TOLERANCE, differences

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn


def rounded_scores(module: nn.Module, score: Callable[[], dict[str, Any]] | None) -> dict[str, Any]:
    """Round matrices and kernels to half precision unless a score moves by more than ``TOLERANCE``.

    Everything one-dimensional (biases, batch-norm statistics) stays single, for it takes no room, and what is
    beyond half precision's range does.
    ``save_card`` then stores in half precision what half precision holds.

    Args:
        module: Trained; changed in place, or left as it is where rounding costs too much.
        score: Measures it; None rounds unseen.

    Returns:
        Scores of the module as it is afterwards, with those before as ``full_precision`` (of each class only
        the mean), or with what rounding would have cost as ``half_precision``; nothing without ``score``.

    """
    whole = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    before = {} if score is None else score()
    module.load_state_dict({name: _rounded(tensor) for name, tensor in whole.items()})
    if score is None:
        return {}
    after = score()
    lost = [*differences(before, after)]
    if lost:
        module.load_state_dict(whole)
        return before | {'half_precision': f'not used, off by more than {TOLERANCE}: {"; ".join(lost)}'}
    means = {name: value for name, value in before.items() if name != 'per_class_iou'}
    return after | {'full_precision': means}


def _rounded(tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point() or tensor.dim() < 2:
        return tensor
    half = tensor.half()
    return half.to(tensor.dtype) if half.isfinite().all() else tensor
