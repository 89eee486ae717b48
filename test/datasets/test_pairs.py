"""Triples of stills in motion repeat with their seed; flow is scaled, mirrored and cut with the views."""

from __future__ import annotations

import numpy as np
import pytest
from motion_parts import smooth, warped

from vss_ros.datasets.labelled import LabelledImages
from vss_ros.datasets.pairs import StillPairs, Triple, cropped
from vss_ros.datasets.synthetic_motion import Variety
from vss_ros.images.classes import load_classes

CAMVID = load_classes('camvid11')


def stills(count: int) -> LabelledImages:
    """Return smooth labelled stills."""
    ids = np.full((90, 120), 3, np.uint8)
    ids[:40] = 0
    ids[50:66, 40:60] = 8
    return LabelledImages([smooth(i) for i in range(count)], [ids] * count, [f'{i}' for i in range(count)])


def test_pairs_repeat_with_their_seed_and_end_in_labelled_frames() -> None:
    source = StillPairs(stills(3), CAMVID)
    for index in range(len(source)):
        draws = [source.draw(index, (2, 10), (64, 80), np.random.default_rng(5)) for _ in range(2)]
        for triple in draws:
            assert triple.key.shape == triple.between.shape == triple.current.shape == (64, 80, 3)
            assert triple.labels.shape == (64, 80)
            assert triple.to_key is None
        assert np.array_equal(draws[0].key, draws[1].key)
        assert np.array_equal(draws[0].labels, draws[1].labels)


def test_asking_for_flow_changes_nothing_else() -> None:
    plain, rich = (StillPairs(stills(1), CAMVID, with_flow=flow) for flow in (False, True))
    one, other = (p.draw(0, (2, 10), (64, 80), np.random.default_rng(3)) for p in (plain, rich))
    for name in ('key', 'between', 'current', 'labels'):
        assert np.array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize('seed', range(10))
def test_the_flow_of_a_drawn_triple_leads_to_its_earlier_views(seed: int) -> None:
    source = StillPairs(stills(1), CAMVID, Variety(light=0, blur=0), with_flow=True)
    triple = source.draw(0, (1, 10), (64, 80), np.random.default_rng(seed))
    y, x = np.mgrid[:64, :80]
    for view, flow in ((triple.key, triple.to_key), (triple.between, triple.to_between)):
        assert flow is not None
        assert flow.shape == (64, 80, 2)
        assert flow.dtype == np.float32
        known = ~np.isnan(flow[..., 0])
        places = flow + np.stack((x, y), -1)
        assert known.mean() > 0.3
        assert (places[known] >= 0).all()
        assert (places[known] <= (79, 63)).all()
        error = np.abs(warped(view, flow).astype(int) - triple.current)[known]
        assert error.mean() < 1.5
        assert np.quantile(error, 0.99) < 10


def test_flow_is_scaled_mirrored_and_cut_with_the_views() -> None:
    grey, ids = np.zeros((90, 120, 3), np.uint8), np.zeros((90, 120), np.uint8)
    flow = np.full((90, 120, 2), (6, -3), np.float32)
    flow[:, 60:] = (-6, -3)  # something else moves there
    seen = set()
    for seed in range(12):
        out = cropped(
            Triple(grey, grey, grey, ids, flow, flow), (90, 120), np.random.default_rng(seed)
        ).to_key
        assert out is not None
        x, y = out[..., 0], out[..., 1]
        known = ~np.isnan(x)
        scale = float(np.abs(x[known]).max()) / 6
        assert 1 <= scale < 1.5
        assert np.allclose(np.abs(x[known]), 6 * scale, atol=0.5 * scale)  # no mean of the two motions
        assert np.allclose(y[known], -3 * scale, atol=0.05)
        assert np.isnan(y[: int(3 * scale)]).all()  # it came from above the crop
        left, right = (half[~np.isnan(half)] for half in (x[:, :6], x[:, -6:]))
        # Towards the middle, from either side, mirrored or not; what would leave is unknown.
        assert (left > 0).all()
        assert (right < 0).all()
        seen.add(round(scale, 3))
    assert len(seen) > 6
    outwards = cropped(
        Triple(grey, grey, grey, ids, -flow, -flow), (90, 120), np.random.default_rng(0)
    ).to_key
    assert outwards is not None
    assert np.isnan(outwards[:, :6]).all()
