"""The learned flow networks: no motion before training, and they learn translations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import torch
from engine_parts import backbone, frame, propagation

from vss_ros.engine.motion import MOTIONS
from vss_ros.engine.motion.flow_net_s import centred_cells
from vss_ros.engine.pipeline import Parts, StreamSegmenter
from vss_ros.engine.preprocess import IMAGENET, Preprocessor, normalise
from vss_ros.engine.schedulers.fixed_interval import FixedInterval
from vss_ros.engine.tracks import Blocking
from vss_ros.engine.view import View

if TYPE_CHECKING:
    from vss_ros.engine.motion import MotionEstimator

pytestmark = pytest.mark.usefixtures('one_thread')
SIZE = (48, 64)
NAMES = [('light_flow', 8), ('flow_net_s', 4)]


def estimator(name: str) -> MotionEstimator:
    torch.manual_seed(0)
    return MOTIONS.get(name)()


def translated(batch: int = 4) -> tuple[View, View, torch.Tensor]:
    """Return views of random translations of a random texture, and the motions ``(N, 2, 1, 1)`` in pixels."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (SIZE[0] // 4, SIZE[1] // 4, 3), dtype=np.uint8)
    image = np.asarray(cv2.resize(noise, (SIZE[1] + 32, SIZE[0] + 32)), np.uint8)
    motions = rng.integers(-12, 13, (batch, 2))
    windows = [image[16 + y : 16 + y + SIZE[0], 16 + x : 16 + x + SIZE[1]] for x, y in motions]
    still = image[16 : 16 + SIZE[0], 16 : 16 + SIZE[1]]
    views = []
    for pixels in (np.stack([still] * batch), np.stack(windows)):
        views.append(View(pixels, normalise(torch.from_numpy(pixels), IMAGENET)))
    return views[0], views[1], torch.from_numpy(motions).float()[:, :, None, None]


def error(net: MotionEstimator) -> torch.Tensor:
    """Return the mean end-point error in pixels."""
    previous, current, motion = translated()
    field = net(previous, current)
    distance: torch.Tensor = torch.linalg.vector_norm(field.flow * field.stride - motion, dim=1)
    return distance.mean()


@pytest.mark.parametrize(('name', 'stride'), NAMES)
def test_untrained_nothing_moves(name: str, stride: int) -> None:
    net = estimator(name).eval()
    previous, current, _ = translated(2)
    with torch.inference_mode():
        field = net(previous, current)
    assert net.stride == field.stride == stride
    assert field.flow.shape == (2, 2, SIZE[0] // stride, SIZE[1] // stride)
    assert not field.flow.any()


@pytest.mark.parametrize(('name', 'stride'), NAMES)
def test_odd_numbers_of_cells(name: str, stride: int) -> None:
    net = estimator(name).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (1, 40, 56, 3), dtype=np.uint8)
    view = View(pixels, normalise(torch.from_numpy(pixels), IMAGENET))
    with torch.inference_mode():
        assert net(view, view).flow.shape == (1, 2, 40 // stride, 56 // stride)


@pytest.mark.parametrize(('name', 'steps'), [('light_flow', 20), ('flow_net_s', 35)])
def test_training_on_translations_lowers_the_error(name: str, steps: int) -> None:
    net = estimator(name)
    before = error(net).item()
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        error(net).backward()
        optimiser.step()
    assert error(net).item() < 0.7 * before


def test_what_is_kept_of_a_frame_outlives_its_buffers() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 16, 24, 3), dtype=np.uint8)
    view = View(pixels, normalise(torch.from_numpy(pixels), IMAGENET))
    for stride in (1, 8):
        kept = centred_cells(view, stride)
        assert kept.shape == (1, 3, 16 // stride, 24 // stride)
        assert kept.abs().max() <= 0.5
        as_it_was = kept.clone()
        pixels[:] = 255 - pixels
        assert torch.equal(kept, as_it_was)


@pytest.mark.parametrize(('name', 'stride'), NAMES)
def test_in_a_stream(name: str, stride: int) -> None:
    net = backbone()
    parts = Parts(
        net, propagation(net, 'flow_warp'), FixedInterval(net.low_channels, max_interval=4), Blocking(),
        estimator(name).eval(),
    )  # fmt: skip
    stream = StreamSegmenter(parts, Preprocessor(IMAGENET, SIZE, net.size_multiple, torch.device('cpu')))
    labels = [stream.step(frame(i, size=SIZE)).labels for i in range(4)]
    # Without motion the key frame's labels stay where they are.
    assert all(np.array_equal(labels[0], other) for other in labels[1:])
