"""Parameters and operations of every system, beside the papers' figures and on the page that shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from experiments.paper_costs import (
    BYTES,
    CAMVID,
    FULL,
    HALF,
    INPUT,
    MACS,
    MEGA_MACS,
    PARAMETERS,
    TABLE,
    THREE_QUARTERS,
    UAVID,
    Size,
    System,
    page,
    systems,
)

if TYPE_CHECKING:
    from pathlib import Path

AT8 = 128 * 256
"""Cells of stride 8 at 1024 x 2048."""
BY_HAND = {
    # 3x3 convolutions 1024 to 256 (F_l, once for each frame) and 512 to 256, 1x1 to 81; AdaptNet's three; 81
    # shifts of 512 channels; fusion of 768 to 512.
    ('Low-latency', 'kernel predictor', PARAMETERS, None): (1024 * 9 + 512 * 9 + 81 + 2) * 256 / 1e6 + 81e-6,
    ('Low-latency', 'AdaptNet', PARAMETERS, None): (1024 * 9 + 256 * 9 * 2 + 3) * 256 / 1e6,
    ('Low-latency', 'fusion', PARAMETERS, None): (768 * 9 + 1) * 512 / 1e6,
    ('Low-latency', 'key frame selector', PARAMETERS, None): ((1024 * 9 + 1 + 32 * 9 + 1) * 32 + 33) / 1e6,
    # Four channels of each cell with four of every other.
    ('Holistic', 'product of all cells', MACS, HALF): 4 * (64 * 128) ** 2 / 1e9,
    # Depthwise 3x3 and 1x1 to 4, 8, 16 and 16 channels by Table I: two for each tap, bias and norm, one for a
    # ReLU, which the last 1x1 hasn't; both images, at a quarter of their sides.
    ('Distortion-aware', 'DMNet', TABLE, FULL): 2
    * (256 * 512)
    * (sum((20 + 3) * a + (2 * (a + 1) + 3) * b for a, b in ((3, 4), (4, 8), (8, 16), (16, 16))) - 16)
    / 1e9,
    # Entry, down, four branches, merge and flow of the one; phi's three layers; the guiding network's six.
    ('GSVNet', 'non-key frame, BiSeNet', MACS, FULL): AT8
    * (
        (6 * 32 * 9 + 32 * 64 * 9 / 4 + 4 * 64 * 64 * 9 / 4 + 256 * 64 / 4 + 64 * 2 * 9 / 4)
        + 9 * (3 * 16 + 16 * 16 + 16 * 19)
        + 9 * (20 * 16 + 16 * 32 / 4 + 32 * 64 / 16 + 64 * 32 / 16 + 32 * 16 / 4 + 16 * 10)
        + 9  # the Laplacian
        + (11 / 2 + 8) * 19  # the warp, and all shifts that are added to the first
    )
    / 1e9,
    ('Tamed warping', 'CFR, layer 1', MACS, FULL): AT8 / 4 * 9 * (128 + 128) * 128 / 1e9,
    ('Tamed warping', 'CFR, layer 2', MACS, FULL): AT8 * 9 * (64 + 64) * 64 / 1e9,
    ('Tamed warping', 'RGA, layer 1', MEGA_MACS, FULL): AT8 / 4 * (3 * 9 + 128) / 1e6,
    ('Tamed warping', 'RGA, layer 2', MEGA_MACS, FULL): AT8 * (3 * 9 + 64) / 1e6,
}
COUNTED = {
    ('Low-latency', 'key frame', MACS, FULL): 2036.8,
    ('Low-latency', 'non-key frame', MACS, FULL): 558.4,
    ('Holistic', 'key frame', PARAMETERS, None): 0.8602,
    ('Holistic', 'key frame', MACS, HALF): 11.258,
    ('Holistic', 'non-key frame', MACS, HALF): 5.765,
    ('Distortion-aware', 'key frame', TABLE, FULL): 827.70,
    ('Distortion-aware', 'non-key frame', TABLE, FULL): 161.56,
    ('Distortion-aware', 'non-key frame with it', TABLE, FULL): 207.13,
    ('Distortion-aware', 'non-key frame with it', TABLE, CAMVID): 68.87,
    ('Distortion-aware', 'non-key frame with it', TABLE, UAVID): 819.6,
    ('GSVNet', 'non-key frame', BYTES, None): 0.9674,
    ('GSVNet', 'non-key frame, SwiftNet', MACS, THREE_QUARTERS): 1.958,
    ('GSVNet', 'mean of 4 frames, SwiftNet', MACS, THREE_QUARTERS): 16.03,
    ('Tamed warping', 'non-key frame, layer 1', MACS, FULL): 21.06,
    ('Tamed warping', 'non-key frame, layer 2', MACS, FULL): 18.16,
    ('The default', 'non-key frame', MACS, INPUT): 0.9258,
}
"""Too long to count by hand: what the counter said when the page was written."""


@pytest.fixture(scope='module')
def counted() -> tuple[System, ...]:
    return systems()


@pytest.mark.parametrize(('figure', 'expected'), (BY_HAND | COUNTED).items(), ids=str)
def test_our_figures(
    counted: tuple[System, ...], figure: tuple[str, str, str, Size | None], expected: float
) -> None:
    title, *row = figure
    (system,) = [system for system in counted if system.title.startswith(title)]
    (ours,) = [r.ours for r in system.rows if [r.part, r.unit, r.size] == row]
    assert ours == pytest.approx(expected, rel=1e-3)


def test_what_is_far_from_its_paper_has_a_reason(counted: tuple[System, ...]) -> None:
    published = [row for system in counted for row in system.rows if row.paper is not None]
    assert len(published) > 40
    for row in published:
        assert not row.is_far or row.why, f'{row.part}: {row.ours:.4g} for {row.paper}: say why'


def test_page_is_what_the_command_prints(counted: tuple[System, ...], project_root: Path) -> None:
    shown = (project_root / 'experiments/docs/costs.md').read_text()
    assert shown == page(counted), 'write it anew with python -m experiments.paper_costs'
