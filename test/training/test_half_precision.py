"""Weights are rounded where no score suffers."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from vss_ros.evaluation.card_scores import TOLERANCE
from vss_ros.training.cards import rounded_scores


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))


def weight_of(module: nn.Sequential) -> torch.Tensor:
    (weight, *_) = module.parameters()
    return weight


def is_half(module: nn.Module) -> bool:
    return all(torch.equal(p.half().float(), p) for p in module.parameters() if p.dim() > 1)


def test_rounded_where_the_score_stays() -> None:
    module = network()
    bias = module.state_dict()['0.bias'].clone()

    def score() -> dict[str, Any]:
        value = 0.7 + 0.5 * TOLERANCE * is_half(module)
        return {'val_miou': value, 'per_class_iou': {'sky': value}}

    scores = rounded_scores(module, score)
    assert is_half(module)
    assert torch.equal(module.state_dict()['0.bias'], bias)
    assert scores['val_miou'] == 0.7 + 0.5 * TOLERANCE
    assert scores['full_precision'] == {'val_miou': 0.7}


def test_left_whole_where_a_score_moves() -> None:
    module = network()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    scores = rounded_scores(module, lambda: {'val_pda': {1: 0.7, 9: 0.6 - 2 * TOLERANCE * is_half(module)}})
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert scores['val_pda'] == {1: 0.7, 9: 0.6}
    assert scores['half_precision'] == {'val_pda': {1: 0.7, 9: 0.6 - 2 * TOLERANCE}}


def test_what_is_out_of_range_stays_single() -> None:
    module = network()
    weight = weight_of(module)
    weight.data[0, 0] = 1e6
    rounded_scores(module, None)
    assert weight[0, 0] == 1e6
    assert weight[0, 1] != weight[0, 1].half()


def test_rounded_unseen_without_a_score() -> None:
    module = network()
    assert rounded_scores(module, None) == {}
    assert is_half(module)
