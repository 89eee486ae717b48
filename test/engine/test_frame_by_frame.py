"""Propagation from frame to frame, and how features that come late are brought to the current frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from engine_parts import backbone, frame, propagation, segmenter

from vss_ros.engine.build import build_segmenter
from vss_ros.engine.frames import AnsweredBy, Frame
from vss_ros.engine.labels import argmax_upsampled, resize_labels
from vss_ros.engine.motion import MOTIONS
from vss_ros.engine.motion.base import MotionTrail
from vss_ros.engine.options import SegmenterConfig
from vss_ros.engine.preprocess import IMAGENET, normalise
from vss_ros.engine.propagation import PROPAGATIONS
from vss_ros.engine.tracks import SimulatedFastSlow
from vss_ros.engine.view import look
from vss_ros.evaluation.metrics.confusion import ConfusionMatrix
from vss_ros.recordings.open import open_source

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (48, 64)
FRAME_BY_FRAME = [member.name for member in PROPAGATIONS if member.cls.frame_by_frame]


def test_features_go_from_frame_to_frame() -> None:
    net = backbone()
    moves = propagation(net, 'flow_warp')
    stream = segmenter(net, moved=moves)
    labels = [stream.step(frame(i)).labels for i in range(3)]
    trail = MotionTrail(MOTIONS.get('dis')())
    with torch.inference_mode():
        views = [trail.follow(look(net, frame(i).image[None])) for i in range(3)]
        logits = [net(views[0].image)]
        logits += [views[1].motion.warp(logits[0])]
        logits += [views[2].motion.warp(logits[1])]
    for got, expected in zip(labels, logits, strict=True):
        assert np.array_equal(got, argmax_upsampled(expected, SIZE))


def test_late_features_are_moved_from_their_own_frame_in_one_hop() -> None:
    net = backbone()
    moves = propagation(net, 'flow_warp')
    track = SimulatedFastSlow(lambda pixels: net(normalise(pixels, IMAGENET)), 2)
    stream = segmenter(net, moved=moves, track=track)
    results = [stream.step(frame(i)) for i in range(8)]
    assert results[4].track is AnsweredBy.FAST
    assert [r.features_accurate for r in results[4:7]] == [False, False, True]
    trail = MotionTrail(MOTIONS.get('dis')())
    with torch.inference_mode():
        key = trail.follow(look(net, frame(4).image[None]))
        since = [trail.follow(look(net, frame(i).image[None])) for i in (5, 6, 7)]
        at6 = since[1].since_key.warp(net(key.image))  # type: ignore[union-attr]
        at7 = since[2].motion.warp(at6)
    assert np.array_equal(results[6].labels, argmax_upsampled(at6, SIZE))
    assert np.array_equal(results[7].labels, argmax_upsampled(at7, SIZE))


@pytest.mark.parametrize('name', [*FRAME_BY_FRAME, 'guided_filter', 'refined_warping', 'tamed_warping'])
def test_accuracy_after_the_swap_is_not_below_that_before(name: str, project_root: Path) -> None:
    """On the embedded drive, by the shipped networks: the last frames before and the first after a swap."""
    config = SegmenterConfig(
        propagation=name, scheduler='fixed_interval', interval=6, track='fast_slow', slow_delay=3
    )
    stream = build_segmenter(config).segmenter
    before, after = (ConfusionMatrix(11, 11) for _ in range(2))
    held: tuple[np.ndarray, np.ndarray] | None = None
    with open_source(project_root / 'test/data/street') as source:
        for image, mask in source:
            if image.index == 100:
                break
            result = stream.step(Frame(image.image, image.stamp_ns, image.index))
            assert mask is not None
            labels = resize_labels(result.labels, result.size)
            if held is not None and result.features_accurate:
                before.add(*held)
                after.add(mask, labels)
            held = None if result.features_accurate else (mask, labels)
    assert after.miou >= before.miou
