"""Every registered backbone keeps its contract."""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from vss_ros.engine.backbones import BACKBONES, Backbone
from vss_ros.engine.layers.fuse import (
    ConvActivation,
    fuse_activations,
    fuse_conv_bn,
    has_fused_convolution,
)
from vss_ros.evaluation.replay.operations import count_flops

if TYPE_CHECKING:
    from collections.abc import Iterator

# Networks from users' files have tests of their own.
NAMES = [member.name for member in BACKBONES if member.cls.has_features]
CLASSES = 5
SIZE = (48, 64)
CAMVID = (360, 480)
CHEAP = ('efficientnet_lite0_fpn', 'lernet', 'mobilenet_fpn')
"""Those that take a real 360 x 480 image in well under a second."""


def build(name: str, seed: int = 0) -> Backbone:
    """Return a backbone in evaluation mode whose batch norms have statistics worth folding.

    They are those of a pass over random images: with a fresh network's mean 0 and variance 1, signals
    fade within twenty layers, and all that reaches the head are biases.
    """
    torch.manual_seed(seed)
    net = BACKBONES.get(name)(CLASSES).train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.normal_(module.bias, 0.0, 0.1)
    with torch.no_grad():
        net(image(batch=2))
    return net.eval()


def image(size: tuple[int, int] = SIZE, batch: int = 1, seed: int = 1) -> torch.Tensor:
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope='module', autouse=True)
def _one_thread() -> Iterator[None]:
    """Keep to one thread: tiny maps gain nothing from more, which on a busy machine wait for one another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='module', params=NAMES)
def net(request: pytest.FixtureRequest) -> Backbone:
    """One backbone at a time, so that the large ones are built once and don't pile up."""
    return build(request.param)


def check_shapes(net: Backbone, x: torch.Tensor) -> None:
    """Run the three parts and compare what comes out with what the class declares."""
    batch, _, height, width = x.shape
    with torch.inference_mode():
        low = net.low(x)
        high = net.high(low)
        logits = net.head(high)
    for part, channels, stride in (
        (low, net.low_channels, net.low_stride),
        (high, net.high_channels, net.high_stride),
        (logits, net.classes, net.logits_stride),
    ):
        assert part.shape == (batch, channels, height // stride, width // stride)
    if not x.is_meta:
        assert all(part.isfinite().all() for part in (low, high, logits))


def test_contract(net: Backbone) -> None:
    check_shapes(net, image(batch=2))
    with torch.inference_mode():
        x = image()
        logits = net(x)
        assert torch.equal(net.head(net.high(net.low(x))), logits)
        changed = (net(image(seed=2)) - logits).abs().mean()
    assert changed > 0.01 * logits.std(), 'the logits hardly depend on the image'


def test_no_part_writes_into_its_input(net: Backbone) -> None:
    # The cache keeps F_l and F_h of the key frame while later frames run through the same parts.
    with torch.inference_mode():
        x = image()
        low = net.low(x)
        high = net.high(low)
        kept = [t.clone() for t in (x, low, high)]
        net.low(x)
        net.high(low)
        net.head(high)
    assert all(torch.equal(a, b) for a, b in zip(kept, (x, low, high), strict=True))


def test_high_features_are_not_negative_and_lateral_channels_are_shared(net: Backbone) -> None:
    with torch.inference_mode():
        low = net.low(image())
        high = net.high(low)
    assert high.min() >= 0  # propagations end in a ReLU
    if shared := getattr(net, 'lateral_channels', 0):
        assert torch.equal(low[:, -shared:], high[:, -shared:])


def test_fused_equals_unfused(net: Backbone) -> None:
    # In double precision: a hundred random layers make a visible difference of float32's last bit.
    exact = copy.deepcopy(net).double()
    with torch.inference_mode():
        before = exact(image().double())
        fuse_conv_bn(exact)
        after = exact(image().double())
    torch.testing.assert_close(after, before, rtol=1e-8, atol=1e-8)
    left = sum(isinstance(module, nn.BatchNorm2d) for module in exact.modules())
    assert left == 0, f'{left} batch norms do not follow a convolution in a Sequential'


def test_merged_activations_change_nothing_but_time(net: Backbone) -> None:
    if not has_fused_convolution():
        pytest.skip('this PyTorch has no convolution that applies its activation')
    fuse_conv_bn(net)
    merged = copy.deepcopy(net)
    fuse_activations(merged)
    found = [module for module in merged.modules() if isinstance(module, ConvActivation)]
    assert found
    with torch.inference_mode():
        # In single precision, where a hundred random layers make a visible difference of the last bit.
        torch.testing.assert_close(merged(image()), net(image()), rtol=1e-2, atol=1e-3)
        flops = [count_flops(partial(network, image())) for network in (merged, net)]
    assert flops[0] == flops[1]
    assert list(merged.state_dict()) == list(net.state_dict())


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('size', [CAMVID, (24, 40)])
def test_shapes_of_other_sizes(name: str, size: tuple[int, int]) -> None:
    with torch.device('meta'):
        check_shapes(BACKBONES.get(name)(CLASSES).eval(), torch.empty(1, 3, *size))


@pytest.mark.parametrize('name', CHEAP)
def test_camvid_size(name: str) -> None:
    check_shapes(build(name), image(CAMVID))


@pytest.mark.parametrize('name', ['lernet', 'mobilenet_fpn', 'bisenet_r18'])
def test_deterministic_with_a_seed(name: str) -> None:
    with torch.inference_mode():
        one, two, other = (build(name, seed)(image()) for seed in (3, 3, 4))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


@pytest.mark.parametrize('name', ['lernet', 'swiftnet_r18', 'bisenet_r18', 'mobilenet_fpn'])
def test_trains_with_one_image(name: str) -> None:
    net = BACKBONES.get(name)(CLASSES).train()
    net(image()).square().mean().backward()
    missing = [key for key, value in net.named_parameters() if value.grad is None]
    assert not missing
