"""The codec's vectors as a motion field: against videos of known motion and hand-made blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import torch
from video_parts import SIZE, Decoded, packets, panned, texture

from vss_ros.engine.frames import CodecFrame
from vss_ros.engine.motion import MOTIONS, MotionField
from vss_ros.engine.motion.codec import densify
from vss_ros.engine.preprocess import IMAGENET, normalise
from vss_ros.engine.view import View

if TYPE_CHECKING:
    from numpy.typing import NDArray

CELLS = (SIZE[0] // 8, SIZE[1] // 8)


def field_of(images: list[NDArray[np.uint8]], name: str, size: tuple[int, int] = SIZE) -> MotionField:
    """Return the field of the last image, coded after the others, at a network's input size."""
    pictures = Decoded(packets(images, name)).pictures
    views = []
    for picture in pictures[-2:]:
        assert picture is not None
        pixels = np.asarray(cv2.resize(picture.image, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)[
            None
        ]
        views.append(
            View(pixels, normalise(torch.from_numpy(pixels), IMAGENET), codec=picture.codec, camera=SIZE)
        )
    return MOTIONS.get('codec')().forward(*views)


def error(field: MotionField, x: torch.Tensor | float, y: torch.Tensor | float) -> torch.Tensor:
    """Return the errors in pixels of the cells that are no holes, two cells of border left out."""
    assert field.holes is not None
    off = (field.flow[0, 0] * 8 - x).abs() + (field.flow[0, 1] * 8 - y).abs()
    inner = (slice(2, -2), slice(2, -2))
    return off[inner][~field.holes[0, 0][inner]]


@pytest.mark.parametrize('name', ['mpeg4', 'h264'])
@pytest.mark.parametrize('step', [(3, 2), (-5, 0), (0, 0)])
def test_a_known_translation_is_exact(name: str, step: tuple[int, int]) -> None:
    images = panned(3, step) if min(step) >= 0 else panned(3, (-step[0], -step[1]))[::-1]
    field = field_of(images, name)
    assert field.stride == 8
    assert field.flow.shape == (1, 2, *CELLS)
    off = error(field, *step)
    assert len(off) > 0.9 * (CELLS[0] - 4) * (CELLS[1] - 4)
    assert off.median() < 0.01
    assert off.mean() < 0.25


def test_motion_is_in_cells_of_the_networks_size() -> None:
    field = field_of(panned(3, (4, 2)), 'mpeg4', (72, 96))
    assert field.flow.shape == (1, 2, 9, 12)
    assert error(field, 2, 1).mean() < 0.25


def test_a_known_zoom_is_found() -> None:
    image = texture()
    images = []
    for i in range(3):
        turn = cv2.getRotationMatrix2D((SIZE[1] / 2 - 0.5, SIZE[0] / 2 - 0.5), 0, 1.05**i)
        images.append(np.asarray(cv2.warpAffine(image, turn, SIZE[::-1]), np.uint8))
    field = field_of(images, 'mpeg4')
    centres = [torch.arange(cells) * 8 + 3.5 for cells in CELLS]
    x = (centres[1] - (SIZE[1] - 1) / 2) * (1 / 1.05 - 1)
    y = (centres[0] - (SIZE[0] - 1) / 2) * (1 / 1.05 - 1)
    # Blocks move as a whole and by half pixels.
    assert error(field, x[None], y[:, None]).mean() < 0.75


def test_what_is_coded_afresh_is_a_hole_that_moves_with_what_is_beside_it() -> None:
    images = panned(3)
    rng = np.random.default_rng(5)
    # A new thing that looks like nothing in the frame before, in two by two macroblocks.
    images[-1][48:80, 64:96] = cv2.resize(rng.integers(0, 2, (4, 4, 3), np.uint8) * 255, (32, 32))
    field = field_of(images, 'mpeg4')
    assert field.holes is not None
    holes = field.holes[0, 0]
    assert holes[6:10, 8:12].float().mean() > 0.5
    outside = holes.clone()
    outside[5:11, 7:13] = False
    assert outside.float().mean() < 0.1
    of_holes = field.flow[0, :, 6:10, 8:12][:, holes[6:10, 8:12]] * 8
    assert (of_holes.median(1).values - torch.tensor([3.0, 2.0])).abs().max() < 0.01


def test_blocks_fill_their_cells() -> None:
    # A 16x16 block, a 16x8 one, an 8x8 one; the picture's lower right corner is coded afresh.
    blocks = [(0, 0, 16, 16, 8, 0), (16, 0, 16, 8, 0, -4), (16, 8, 8, 8, 4, 4), (24, 8, 8, 8, 4, 12)]
    flow, holes = densify(np.array(blocks, np.float32), (24, 32), (24, 32), 8)
    assert holes.tolist() == [[False] * 4, [False] * 4, [True] * 4]
    assert flow[0].tolist()[:2] == [[1, 1, 0, 0], [1, 1, 0.5, 0.5]]
    assert flow[1].tolist()[:2] == [[0, 0, -0.5, -0.5], [0, 0, 0.5, 1.5]]
    # A hole has the mean of the known cells beside it.
    assert flow[:, 2].tolist() == [
        [1, pytest.approx(2.5 / 3), pytest.approx(2 / 3), 0.5],
        [0, pytest.approx(0.5 / 3), pytest.approx(2 / 3), 1],
    ]


def test_coarser_cells_have_the_mean_of_what_is_known() -> None:
    blocks = [(0, 0, 8, 8, 4, 0), (8, 0, 8, 8, 8, 0), (0, 8, 8, 8, 0, 0), (16, 0, 8, 8, 2, 2)]
    flow, holes = densify(np.array(blocks, np.float32), (16, 32), (8, 16), 8)
    assert holes.tolist() == [[False, True]]
    assert np.allclose(flow[:, 0, 0], (12 / 3 / 16, 0))
    assert np.allclose(flow[:, 0, 1], flow[:, 0, 0])
    assert np.allclose(
        densify(np.array(blocks, np.float32), (16, 32), (12, 24), 4)[0][0, 0, 0], 4 / (32 / 24) / 4
    )


def test_blocks_beyond_the_border_and_no_blocks() -> None:
    flow, holes = densify(np.array([(16, 16, 16, 16, 8, 8)], np.float32), (20, 24), (20, 24), 4)
    assert holes.sum() == 5 * 6 - 2
    assert np.allclose(flow, 2)
    flow, holes = densify(np.zeros((0, 6), np.float32), (20, 24), (20, 24), 4)
    assert holes.all()
    assert not flow.any()


@pytest.mark.parametrize('codec', [None, CodecFrame(is_key=True), CodecFrame(is_key=False)])
def test_without_vectors_motion_is_searched(codec: CodecFrame | None) -> None:
    views = []
    for image in panned(2):
        views.append(
            View(image[None], normalise(torch.from_numpy(image[None]), IMAGENET), codec=codec, camera=SIZE)
        )
    field = MOTIONS.get('codec')()(*views)
    assert field.stride == 8
    assert field.holes is None
    wanted = torch.tensor([3.0, 2.0]).view(1, 2, 1, 1) / 8
    assert (field.flow[..., 2:-2, 2:-2] - wanted).abs().mean() < 0.03
