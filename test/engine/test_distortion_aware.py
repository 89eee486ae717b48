"""Distortion-aware correction: M, Eq. 4 at its ends, cues at every size, the stream."""

from __future__ import annotations

import pytest
import torch
from engine_parts import backbone, frame, propagation, segmenter, view_of
from torch import nn

from vss_ros.engine.motion.field import MotionField
from vss_ros.engine.propagation.base import Shapes, Space
from vss_ros.engine.propagation.distortion_aware import (
    CFNet,
    DistortionAware,
    DMNet,
    SiameseExtractor,
    correct,
)
from vss_ros.engine.propagation.flow_warp import FlowWarp
from vss_ros.engine.view import View


def stirred(moves: DistortionAware) -> DistortionAware:
    """Give the last convolution weights, which starts at zero."""
    torch.manual_seed(0)
    nn.init.normal_(moves.cues.predict.weight)
    return moves


def view_at(size: tuple[int, int], batch: int = 1, stride: int = 4) -> View:
    """Return a view of random images that moved by half a cell."""
    flow = torch.full((batch, 2, size[0] // stride, size[1] // stride), 0.5)
    pixels = torch.randint(0, 256, (batch, *size, 3), dtype=torch.uint8).numpy()
    return View(pixels, torch.randn(batch, 3, *size), motion=MotionField(flow, stride))


def test_equation_4() -> None:
    propagated, cues = torch.randn(2, 5, 6, 8), torch.randn(2, 5, 6, 8)
    distortion = torch.rand(2, 1, 6, 8)
    distortion[..., 0] = 0
    distortion[..., 1] = 1
    corrected = correct(propagated, cues, distortion)
    assert torch.equal(corrected[..., 0], propagated[..., 0])
    assert torch.equal(corrected[..., 1], cues[..., 1])
    assert torch.allclose(corrected, propagated * (1 - distortion) + cues * distortion, atol=1e-6)


def normalised() -> DMNet:
    """Return an untrained network whose batch norms have seen the images that tests are made of."""
    torch.manual_seed(0)
    net = DMNet()
    for _ in range(30):
        net(torch.randn(4, 3, 12, 16), torch.randn(4, 3, 12, 16))
    return net.eval()


def test_equal_images_are_not_distorted() -> None:
    net = normalised()
    image = torch.randn(1, 3, 12, 16)
    changed = image.clone()
    changed[..., 8:] = torch.randn(1, 3, 12, 8)
    with torch.inference_mode():
        assert torch.allclose(net(image, image), torch.zeros(()), atol=1e-6)
        distortion = net(changed, image)
    assert distortion.shape == (1, 1, 12, 16)
    # Four 3x3 convolutions see four cells far.
    assert torch.allclose(distortion[..., :4], torch.zeros(()), atol=1e-6)
    assert distortion[..., 8:].mean() > 0.1
    assert distortion.max() <= 1


def test_distortion_can_pass_a_half() -> None:
    """Were features never negative, similarity would end at 0, and M at one half."""
    net = normalised()
    with torch.inference_mode():
        assert net(torch.randn(4, 3, 12, 16), torch.randn(4, 3, 12, 16)).max() > 0.6


def test_both_images_pass_the_same_extractor() -> None:
    torch.manual_seed(0)
    net = SiameseExtractor(3, (4, 8)).eval()
    first, second = torch.randn(2, 3, 6, 8), torch.randn(2, 3, 6, 8)
    with torch.inference_mode():
        one, other = net(first, second)
        swapped, _ = net(second, first)
    assert one.shape == (2, 8, 6, 8)
    assert torch.allclose(other, swapped, atol=1e-6)


@pytest.mark.parametrize('size', [(64, 128), (48, 64), (360, 480), (45, 61), (8, 8)])
def test_cues_are_a_quarter_of_any_image(size: tuple[int, int]) -> None:
    net = CFNet(5, 2).eval()
    with torch.inference_mode():
        assert net(torch.randn(1, 3, *size)).shape == (1, 5, -(-size[0] // 4), -(-size[1] // 4))


def test_cfnet_has_ten_convolutions_and_four_deconvolutions() -> None:
    net = CFNet(19)
    kinds = [type(module) for module in net.modules()]
    assert kinds.count(nn.ConvTranspose2d) == 4
    assert kinds.count(nn.Conv2d) == 10 + 1  # and the 1x1 that makes the cues
    assert kinds.count(nn.LeakyReLU) == 14
    widths = [layer[0].out_channels for layer in net.encoder]  # type: ignore[index]
    assert widths == [32, 64, 128, 128, 256, 256, 256, 256, 512, 512]


@pytest.mark.parametrize(('features', 'width'), [(0, 8), (64, 8), (128, 16), (256, 32), (512, 32)])
def test_width_follows_the_network(features: int, width: int) -> None:
    moves = DistortionAware(Shapes(8, 8, 11, 4, feature_channels=features))
    assert moves.cues.predict.in_channels == 3 * width


def test_width_beside_the_default_backbone() -> None:
    assert Shapes.of(backbone(), Space.SEGMENTATION).feature_channels == 64


def test_untrained_module_answers_as_plain_warping() -> None:
    net = backbone()
    with torch.inference_mode():
        key, view = view_of(net, frame(0)), view_of(net, frame(1), before=frame(0))
        logits = net(key.image)
        moved = propagation(net, 'distortion_aware')(key, logits, view)
        warped = propagation(net, 'flow_warp')(key, logits, view)
    assert not torch.equal(moved, warped)
    assert torch.equal(moved.argmax(1), warped.argmax(1))


@pytest.mark.parametrize('stride', [1, 4, 8])
def test_correction_is_made_of_its_parts(stride: int) -> None:
    torch.manual_seed(0)
    moves = stirred(DistortionAware(Shapes(8, 8, 5, stride, feature_channels=64))).eval()
    previous, view = view_at((48, 64)), view_at((48, 64))
    logits = torch.randn(1, 5, 48 // stride, 64 // stride)
    with torch.inference_mode():
        source, current = moves.prepare(previous), moves.prepare(view)
        parts = moves.corrections(source, logits, current, view)
        moved = moves(previous, logits, view)
    warped = FlowWarp(moves.shapes)(previous, logits, view)
    assert torch.equal(parts.propagated, warped)
    assert parts.cues.shape == warped.shape
    assert parts.distortion.shape == (1, 1, *warped.shape[-2:])
    assert torch.allclose(moved, torch.lerp(parts.propagated, parts.cues, parts.distortion))
    assert torch.isfinite(moved).all()


def test_image_is_kept_as_a_copy() -> None:
    moves = DistortionAware(Shapes(8, 8, 5, 4))
    view = view_at((48, 64))
    kept = moves.prepare(view)
    before = kept.clone()
    view.image.zero_()
    assert torch.equal(kept, before)


def test_gradients_reach_all_parameters() -> None:
    moves = stirred(DistortionAware(Shapes(8, 8, 5, 4))).train()
    logits = torch.randn(2, 5, 12, 16, requires_grad=True)
    moved = moves(view_at((48, 64), batch=2), logits, view_at((48, 64), batch=2))
    (moved * torch.randn_like(moved)).sum().backward()
    assert logits.grad is not None
    for name, parameter in moves.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_four_frames_of_a_stream_without_low_features() -> None:
    net = backbone()
    moved = stirred(propagation(net, 'distortion_aware'))  # type: ignore[arg-type]
    stream = segmenter(net, moved=moved)
    results = [stream.step(frame(i)) for i in range(4)]
    assert [result.decision.is_key_frame for result in results] == [True, False, False, False]
    assert all(result.labels.shape == (48, 64) for result in results)
    assert all('low' not in result.seconds for result in results)
