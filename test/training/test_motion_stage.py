"""Motion estimators learn the exact flow where a triple carries it, and the teacher's elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from motion_parts import smooth
from torch import nn

from vss_ros.datasets.labelled import LabelledImages
from vss_ros.datasets.pairs import StillPairs
from vss_ros.engine.motion import MOTIONS, MotionField
from vss_ros.images.classes import load_classes
from vss_ros.training.pair_stages import _view, exact_where_known, train_motion
from vss_ros.training.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path


def test_exact_flow_replaces_the_guess_where_it_is_known() -> None:
    guess = MotionField(torch.full((3, 2, 4, 6), 2.0), 4)  # 8 pixels everywhere
    flow = np.full((16, 24, 2), np.nan, np.float32)
    flow[:8] = (-3.0, 5.0)
    target = exact_where_known([flow, None, flow], guess)
    assert target.stride == 1
    for pair in (0, 2):
        assert torch.equal(
            target.flow[pair, :, :8], torch.tensor([-3.0, 5.0])[:, None, None].expand(2, 8, 24)
        )
        assert (target.flow[pair, :, 8:] == 8).all()
    assert (target.flow[1] == 8).all()
    cells = target.at(8).flow  # in cells of 8 pixels
    assert torch.allclose(cells[0, :, 0], torch.tensor([-3 / 8, 5 / 8])[:, None])
    assert exact_where_known([None] * 3, guess) is guess


@pytest.mark.slow
def test_the_error_against_exact_flow_falls(tmp_path: Path) -> None:
    ids = np.full((90, 120), 3, np.uint8)
    stills = LabelledImages([smooth(i) for i in range(2)], [ids, ids], ['a', 'b'])
    pairs = StillPairs(stills, load_classes('camvid11'), with_flow=True)
    torch.manual_seed(0)
    estimators = nn.ModuleDict({'light_flow': MOTIONS.get('light_flow')()})
    recipe = Recipe(
        stage='motion',
        model='x',
        epochs=4,
        batch=4,
        images_per_epoch=24,
        crop=(64, 96),
        distances=(2, 4),
        rate=3e-3,
        ema_decay=0.5,
    )
    before = endpoint_error(estimators, pairs)
    trained = train_motion(recipe, estimators, {'s': pairs}, lambda _: {}, tmp_path, resume=False)
    assert endpoint_error(trained, pairs) < 0.95 * before  # 1.98 to 1.73 pixels


@torch.no_grad()
def endpoint_error(estimators: nn.ModuleDict, pairs: StillPairs) -> float:
    """Return the mean distance from the exact flow, pixels."""
    ((_, estimator),) = estimators.eval().items()
    errors = []
    for seed in range(12):
        triple = pairs.draw(seed % 2, (3, 3), (64, 96), np.random.default_rng(seed))
        found = estimator(_view([triple.key]), _view([triple.current])).at(1).flow[0].movedim(0, -1).numpy()
        assert triple.to_key is not None
        errors.append(np.nanmean(np.linalg.norm(found - triple.to_key, axis=-1)))
    estimators.train()
    return float(np.mean(errors))
