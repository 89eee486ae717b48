"""Motion fields: direction, units, strides, composition, and what the trail remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import torch

from vss_ros.engine.motion import MOTIONS, MotionEstimator, MotionField
from vss_ros.engine.motion.base import MotionTrail
from vss_ros.engine.motion.field import warp
from vss_ros.engine.preprocess import IMAGENET, normalise
from vss_ros.engine.view import View

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEIGHT, WIDTH = 96, 128


def textured(seed: int = 0, size: tuple[int, int] = (HEIGHT + 64, WIDTH + 64)) -> NDArray[np.uint8]:
    """Return a smooth random RGB texture, which has one answer for where each patch went."""
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2).astype(np.float32)
    return np.asarray((smooth - smooth.min()) * (255 / np.ptp(smooth)), np.uint8)


def window(image: NDArray[np.uint8], top: int, left: int) -> View:
    """Return the view of a window of an image."""
    pixels = np.ascontiguousarray(image[None, top : top + HEIGHT, left : left + WIDTH])
    return View(pixels, normalise(torch.from_numpy(pixels), IMAGENET))


def inner(field: MotionField) -> torch.Tensor:
    """Return the flow without two cells of border, where content comes from outside the picture."""
    return field.flow[..., 2:-2, 2:-2]


def test_warp_shifts_by_whole_cells_exactly() -> None:
    features = torch.randn(1, 3, 8, 10)
    flow = torch.zeros(1, 2, 8, 10)
    flow[:, 0], flow[:, 1] = 2, -1
    moved = warp(features, flow)
    assert torch.allclose(moved[..., 1:, :-2], features[..., :-1, 2:], atol=1e-5)
    assert torch.allclose(warp(features, torch.zeros(1, 2, 8, 10)), features, atol=1e-5)


def test_a_known_translation_is_found() -> None:
    image = textured()
    # The window moves 6 right and 3 up, so that each content's earlier place is 6 further right and 3 up.
    earlier, current = window(image, 30, 30), window(image, 27, 36)
    field = MOTIONS.get('dis')()(earlier, current)
    assert field.stride == 4
    assert field.flow.shape == (1, 2, HEIGHT // 4, WIDTH // 4)
    wanted = torch.tensor([6.0, -3.0]).view(1, 2, 1, 1) / 4
    assert (inner(field) - wanted).abs().mean() < 0.05  # cells; 0.2 pixels


@pytest.mark.parametrize('name', ['dis', 'dis_half'])
def test_the_motion_of_a_large_image_is_in_its_own_pixels(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('vss_ros.engine.motion.dis.AMPLE', HEIGHT * WIDTH - 1)
    image = textured()
    field = MOTIONS.get(name)()(window(image, 30, 30), window(image, 26, 38))
    assert field.flow.shape == (1, 2, HEIGHT // 4, WIDTH // 4)
    wanted = torch.tensor([8.0, -4.0]).view(1, 2, 1, 1) / 4
    assert (inner(field) - wanted).abs().mean() < 0.1


@pytest.mark.parametrize('size', [(8, 8), (8, 64), (16, 160), (64, 8)])
def test_a_sliver_has_motion_too(size: tuple[int, int]) -> None:
    """OpenCV's search dies of such sizes."""
    pixels = [textured(i, size)[None] for i in (1, 2)]
    views = [View(image, normalise(torch.from_numpy(image), IMAGENET)) for image in pixels]
    field = MOTIONS.get('dis')()(*views)
    assert field.flow.shape == (1, 2, size[0] // 4, size[1] // 4)


def test_a_known_zoom_is_found() -> None:
    image = textured()
    centre = (WIDTH / 2 + 31.5, HEIGHT / 2 + 31.5)
    zoomed = cv2.warpAffine(image, cv2.getRotationMatrix2D(centre, 0, 1.05), image.shape[1::-1])
    field = MOTIONS.get('dis')()(window(image, 32, 32), window(np.asarray(zoomed, np.uint8), 32, 32))
    x = (torch.arange(WIDTH // 4) - (WIDTH / 4 - 1) / 2) * (1 / 1.05 - 1)
    y = (torch.arange(HEIGHT // 4) - (HEIGHT / 4 - 1) / 2) * (1 / 1.05 - 1)
    wanted = torch.stack((x.expand(HEIGHT // 4, -1), y[:, None].expand(-1, WIDTH // 4)))[None]
    assert (inner(field) - wanted[..., 2:-2, 2:-2]).abs().mean() < 0.05


@pytest.mark.parametrize('stride', [2, 8, 16])
def test_a_field_keeps_its_motion_at_another_stride(stride: int) -> None:
    flow = torch.ones(1, 2, 16, 16)
    field = MotionField(flow, 4).at(stride)
    assert field.stride == stride
    assert field.flow.shape[-1] == 64 // stride
    assert torch.allclose(field.flow, torch.full((1,), 4 / stride))


def test_guesses_in_holes_do_not_bend_the_motion_of_a_coarser_cell() -> None:
    flow, holes = torch.full((1, 2, 4, 4), 3.0), torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    flow[..., :2, 0], holes[..., :2, 0] = 9, True  # half of one cell
    flow[..., 2:, 2:], holes[..., 2:, 2:] = 5, True  # all of another: the guess is all there is
    coarse = MotionField(flow, 4, holes).at(8)
    assert coarse.holes is not None
    assert coarse.holes[0, 0].tolist() == [[False, False], [False, True]]
    assert torch.allclose(coarse.flow[0, 0], torch.tensor([[1.5, 1.5], [1.5, 2.5]]))
    assert torch.equal(coarse.holes, coarse.at(4).at(8).holes)  # type: ignore[arg-type]


def test_composed_fields_equal_the_motion_over_both_steps() -> None:
    image = textured()
    views = [window(image, 30, 30 + shift) for shift in (0, 3, 9)]
    estimator = MOTIONS.get('dis')()
    both = estimator(views[1], views[2]).compose(estimator(views[0], views[1]))
    assert (inner(both)[:, 0] - 9 / 4).abs().mean() < 0.1
    lost = MotionField(torch.zeros(1, 2, 4, 4), 4, torch.ones(1, 1, 4, 4, dtype=torch.bool))
    assert MotionField(torch.zeros(1, 2, 4, 4), 4).compose(lost).holes.all()  # type: ignore[union-attr]


def test_the_trail_leads_back_to_the_key_frame() -> None:
    image = textured()
    trail = MotionTrail(MOTIONS.get('dis')())
    assert not trail.follow(window(image, 30, 20)).has_motion
    trail.mark_key_frame()
    shifted = [trail.follow(window(image, 30, 20 + shift)) for shift in (2, 4, 6)]
    last = shifted[-1]
    assert last.since_key is not None
    assert (inner(last.motion)[:, 0] - 2 / 4).abs().mean() < 0.05
    assert (inner(last.since_key)[:, 0] - 6 / 4).abs().mean() < 0.1
    trail.mark_key_frame()
    fourth = trail.follow(window(image, 30, 28))
    assert fourth.since_key is not None
    assert torch.equal(fourth.motion.flow, fourth.since_key.flow)
    trail.reset()
    assert not trail.follow(window(image, 30, 30)).has_motion


def affine(matrix: list[list[float]], offset: tuple[float, float], size: tuple[int, int]) -> MotionField:
    """Return the field whose cells, counted from the centre, come from ``matrix @ cell + offset``; x, y."""
    height, width = size
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    centred = torch.stack((x - (width - 1) / 2, y - (height - 1) / 2)).float()
    moved = torch.einsum('ij,jhw->ihw', torch.tensor(matrix), centred) + torch.tensor(offset)[:, None, None]
    return MotionField((moved - centred)[None], 4)


class Given(MotionEstimator):
    """An estimator whose fields are known beforehand."""

    stride = 4

    def __init__(self, *fields: MotionField) -> None:
        super().__init__()
        self._fields = list(fields)

    def prepare(self, view: View) -> torch.Tensor:
        return view.image

    def estimate(self, previous: torch.Tensor, current: torch.Tensor, view: View) -> MotionField:
        return self._fields.pop(0)


def test_motion_since_the_key_frame_is_composed_in_the_order_of_the_frames() -> None:
    # A quarter turn with a zoom, then a shift: the other way round content would come from elsewhere.
    size, turn = (24, 24), [[0.0, -0.8], [0.8, 0.0]]
    first, second = affine([[1.0, 0.0], [0.0, 1.0]], (3, 1), size), affine(turn, (0, 0), size)
    trail = MotionTrail(Given(first, second))
    image = textured()
    views = [trail.follow(window(image, 30, 30)) for _ in range(3)]
    # From the last frame back: turn first, then shift.
    assert views[2].since_key is not None
    expected = affine(turn, (3, 1), size)
    difference = (inner(views[2].since_key) - inner(expected)).abs()
    assert difference.max() < 1e-3
    assert (inner(affine(turn, (-0.8, 2.4), size)) - inner(expected)).abs().min() > 1  # shift, then turn
