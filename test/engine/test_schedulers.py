"""Thresholds and intervals."""

from __future__ import annotations

from itertools import islice
from math import nan
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from engine_parts import backbone, propagation, segmenter
from video_parts import panned, write_video

from vss_ros.engine.build import build_segmenter
from vss_ros.engine.frames import CodecFrame, Frame, Reason
from vss_ros.engine.motion import MotionField
from vss_ros.engine.options import SegmenterConfig
from vss_ros.engine.preprocess import IMAGENET, normalise
from vss_ros.engine.schedulers import SCHEDULERS
from vss_ros.engine.schedulers.accumulated_deviation import AccumulatedDeviation
from vss_ros.engine.schedulers.codec_keyframe import CodecKeyFrame
from vss_ros.engine.schedulers.fixed_interval import FixedInterval
from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation
from vss_ros.engine.view import View
from vss_ros.errors import VssError
from vss_ros.recordings.open import open_source

if TYPE_CHECKING:
    from pathlib import Path


def _view(low: torch.Tensor) -> View:
    """Return a random frame with the given F_l and no motion since the key frame."""
    pixels = np.random.default_rng(0).integers(0, 256, (1, 48, 64, 3), dtype=np.uint8)
    still = MotionField(torch.zeros(1, 2, 12, 16), 4)
    return View(pixels, normalise(torch.from_numpy(pixels), IMAGENET), low, still, since_key=still)


def test_feature_threshold_scores_the_relative_change() -> None:
    scheduler = SCHEDULERS.get('feature_threshold')(16)
    key, current = torch.full((1, 16, 6, 8), -4.0), torch.full((1, 16, 6, 8), -3.0)
    assert scheduler.score(key, current, _view(current)) == pytest.approx(1 / 4)
    assert scheduler.score(key, key, _view(key)) == 0
    assert scheduler.score(key / 1000, current / 1000, _view(current)) == pytest.approx(1 / 4)


@pytest.mark.parametrize('name', [member.name for member in SCHEDULERS])
def test_intervals_bound_every_scheduler(name: str) -> None:
    scheduler = SCHEDULERS.get(name)(16, threshold=1e-9, min_interval=3, max_interval=6).eval()
    views = [_view(torch.randn(1, 16, 6, 8)) for _ in range(2)]
    key, current = (scheduler.prepare(view) for view in views)
    assert not scheduler.decide(2, key, current, views[1]).is_key_frame
    assert scheduler.decide(6, key, current, views[1]).is_key_frame
    assert scheduler.decide(6, key, current, views[1]).reason is Reason.INTERVAL


def test_impossible_intervals_are_refused_and_change_nothing() -> None:
    scheduler = FixedInterval(16, min_interval=2, max_interval=6)
    with pytest.raises(VssError, match='min_interval'):
        scheduler.adjust(min_interval=7)
    assert (scheduler.min_interval, scheduler.max_interval) == (2, 6)
    scheduler.adjust(interval=0)
    assert scheduler.max_interval == scheduler.default_max_interval


def test_threshold_zero_and_nan_mean_the_schedulers_own() -> None:
    scheduler = PredictedDeviation(16, threshold=0.4)
    assert scheduler.threshold == 0.4
    for value in (0.0, nan):
        scheduler.adjust(threshold=value)
        assert scheduler.threshold == scheduler.default_threshold


def test_an_accumulated_threshold_falls_with_the_distance() -> None:
    torch.manual_seed(0)
    accumulated, predicted = AccumulatedDeviation(16).eval(), PredictedDeviation(16).eval()
    accumulated.load_state_dict(predicted.state_dict())
    views = [_view(torch.randn(1, 16, 6, 8)) for _ in range(2)]
    key, current = (predicted.prepare(view) for view in views)
    share = predicted.score(key, current, views[1])
    for scheduler in (accumulated, predicted):
        scheduler.adjust(threshold=1.01 * share)
    verdicts = {distance: accumulated.decide(distance, key, current, views[1]) for distance in (1, 4, 5, 10)}
    assert {verdict.score for verdict in verdicts.values()} == {share}
    assert [verdict.is_key_frame for verdict in verdicts.values()] == [False, False, False, True]
    thresholds = [verdict.threshold / share for verdict in verdicts.values()]
    assert thresholds == pytest.approx([1.01 * 5 / 4, 1.01 * 5 / 4, 1.01, 0.505])
    assert verdicts[5] == predicted.decide(5, key, current, views[1])  # the usual distance
    assert not predicted.decide(10, key, current, views[1]).is_key_frame


def test_accumulated_deviation_has_the_predictors_weights() -> None:
    schedulers = [
        build_segmenter(SegmenterConfig(scheduler=name, device='cpu')).segmenter.parts.scheduler
        for name in ('accumulated_deviation', 'predicted_deviation')
    ]
    mine, theirs = (scheduler.state_dict() for scheduler in schedulers)
    assert all(torch.equal(mine[name], value) for name, value in theirs.items())
    assert schedulers[0].threshold == schedulers[1].threshold != PredictedDeviation.default_threshold


def test_most_cuts_are_key_frames_at_once(project_root: Path) -> None:
    """Frames of the embedded clip, each followed by a street that turned round (without the bound none)."""
    stream = build_segmenter(SegmenterConfig(device='cpu', track='blocking')).segmenter
    with open_source(project_root / 'test/data/street') as source:
        images = [image for image, _ in islice(source, 0, None, 10)]
    cuts = []
    for i, image in enumerate(images):
        stream.request_reset()
        turned = np.ascontiguousarray(image.image[:, ::-1])
        stream.step(Frame(image.image, image.stamp_ns, 2 * i))
        cuts.append(stream.step(Frame(turned, image.stamp_ns + 10**7, 2 * i + 1)).decision)
    assert {decision.reason for decision in cuts} <= {Reason.DEVIATION, Reason.SCENE_CHANGE}
    assert sum(decision.is_key_frame for decision in cuts) > 0.6 * len(cuts)


def test_equal_features_give_the_lowest_prediction() -> None:
    scheduler = PredictedDeviation(16).eval()
    same = _view(torch.randn(1, 16, 6, 8))
    with torch.no_grad():
        difference = scheduler._compare(scheduler.prepare(same), scheduler.prepare(same))
        bias = torch.sigmoid(scheduler.regress(scheduler.compare(torch.zeros(1, 32, 6, 8)).mean((2, 3))))
    assert torch.allclose(difference, bias.squeeze(1))


def _codec_view(codec: CodecFrame | None) -> View:
    return _view(torch.zeros(1, 16, 6, 8)).replace(codec=codec)


def test_codec_keyframe_follows_the_encoders_groups(tmp_path: Path) -> None:
    path = write_video(tmp_path / 'pan.mp4', panned(30), 'mpeg4')
    net = backbone()
    stream = segmenter(net, moved=propagation(net, 'reuse'), scheduler=CodecKeyFrame(net.low_channels))
    with open_source(path) as source:
        decisions = [stream.step(frame).decision for frame, _ in source]
    assert [d.frame_index for d in decisions if d.is_key_frame] == [0, 12, 24]
    assert [d.reason for d in decisions] == [Reason.FIRST, *[Reason.CODEC] * 29]


def test_codec_keyframe_keeps_its_bounds_and_needs_no_codec() -> None:
    i_frame, p_frame = _codec_view(CodecFrame(is_key=True)), _codec_view(CodecFrame(is_key=False))
    scheduler = CodecKeyFrame(16, min_interval=3)

    def judged(distance: int, view: View) -> tuple[bool, Reason]:
        verdict = scheduler.decide(distance, None, None, view)
        return verdict.is_key_frame, verdict.reason

    assert judged(2, i_frame) == (False, Reason.INTERVAL)
    assert judged(3, i_frame) == (True, Reason.CODEC)
    assert judged(11, p_frame) == (False, Reason.CODEC)
    assert judged(12, i_frame) == (True, Reason.CODEC)
    assert judged(12, p_frame) == (True, Reason.INTERVAL)
    assert judged(11, _codec_view(None)) == (False, Reason.INTERVAL)
    assert judged(12, _codec_view(None)) == (True, Reason.INTERVAL)
