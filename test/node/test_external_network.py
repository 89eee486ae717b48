"""A user's own ONNX file, one command, and the node segments with it over DDS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip(
    'rclpy', reason='needs rclpy: run the tests with make test, or source a ROS 2 distribution'
)
pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')

import torch
from network_files import CLASSES, add, export, plain
from node_graph import Graph, image_message

from experiments.robot import clip as clip_images
from vss_ros.engine.build import build_module
from vss_ros.engine.model_card import ModelCard, read_card, save_card
from vss_ros.engine.propagation import PROPAGATIONS
from vss_ros.engine.propagation.base import Shapes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vss_ros.engine.backbones import Backbone

FRAMES = 14
STAMPS = [10**9 + i * 66_666_667 for i in range(FRAMES)]


@pytest.fixture(scope='module')
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the card that ``vss models add`` makes of a network that takes 96x128 only."""
    file = export(plain(), tmp_path_factory.mktemp('network') / 'mine.onnx', size=(96, 128))
    return add(file, '--mean', '0.5', '0.5', '0.5', '--std', '0.25', '0.25', '0.25')


def save_untrained(card: Path, propagation: str) -> None:
    """Write a propagation as training starts with it, where it has weights at all."""
    base = read_card(card)
    backbone: Backbone = build_module(base)  # type: ignore[assignment]
    cls = PROPAGATIONS.get(propagation)
    torch.manual_seed(0)
    module = cls(Shapes.of(backbone, cls.space))
    if any(True for _ in module.parameters()):
        name = f'{base.name}.{propagation}'
        part = ModelCard(
            name=name,
            kind='propagation',
            builder=propagation,
            sha256='',
            parameters=0,
            base=base.name,
            base_sha256=base.sha256,
        )
        save_card(part, module, card.parent)


@pytest.mark.parametrize('track', ['blocking', 'fast_slow'])
@pytest.mark.parametrize('propagation', ['flow_warp', 'guided_filter', 'reuse'])
def test_the_node_segments_with_a_network_of_ones_own(
    card: Path, start: Callable[..., Graph], propagation: str, track: str
) -> None:
    save_untrained(card, propagation)
    # Within so many frames of the clip the residual passes the threshold more than once.
    graph = start(model=str(card), propagation=propagation, scheduler='flow_residual', track=track)
    images = clip_images(FRAMES)
    for image, stamp in zip(images, STAMPS, strict=True):
        graph.send(image_message(image, stamp))
    graph.wait(lambda: len(graph.received['key_frame']) == FRAMES, 'all decisions')
    assert graph.stamps('mask') == graph.stamps('key_frame') == STAMPS
    decisions = graph.received['key_frame']
    keys = [d.is_key_frame for d in decisions]
    assert keys[0]
    assert 2 <= sum(keys) < FRAMES
    assert {d.track for d in decisions if not d.is_key_frame} == {'propagated'}
    assert {d.track for d in decisions[1:] if d.is_key_frame} == {'full' if track == 'blocking' else 'fast'}
    assert {d.reason for d in decisions[1:] if d.is_key_frame} == {'deviation'}
    for mask in graph.received['mask']:
        assert (mask.height, mask.width, mask.encoding) == (360, 480, 'mono8')
        assert np.asarray(mask.data).max() < CLASSES
    assert graph.count('errors') == graph.count('rejected') == 0


def test_the_first_mask_is_what_the_network_says(card: Path, start: Callable[..., Graph]) -> None:
    import cv2

    from vss_ros.engine.labels import argmax_upsampled, resize_labels

    graph = start(model=str(card), propagation='none')
    (image,) = clip_images(1)
    graph.send(image_message(image, STAMPS[0]))
    graph.wait(lambda: len(graph.received['mask']) == 1, 'a mask')
    small = cv2.resize(image, (128, 96), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    with torch.no_grad():
        logits = plain()(torch.from_numpy((small - 0.5) / 0.25).movedim(-1, 0)[None])
    expected = resize_labels(argmax_upsampled(logits, (96, 128)), (360, 480))
    got = np.asarray(graph.received['mask'][0].data, np.uint8).reshape(360, 480)
    assert len(np.unique(expected)) > 1
    assert (got == expected).mean() > 0.999


def test_what_cannot_work_is_logged_and_not_started(
    card: Path, start: Callable[..., Graph], capfd: pytest.CaptureFixture[str]
) -> None:
    graph = start(start=False, model=str(card), propagation='spatially_variant_conv')
    assert graph.node.trigger_configure().name == 'FAILURE'
    assert 'only propagation in segmentation space fits: ' in capfd.readouterr().err
