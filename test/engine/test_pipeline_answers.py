"""What an answer says of itself, and which frame's features and image are used for it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from engine_parts import SIZE, backbone, frame, identity_propagation, propagation, segmenter

from vss_ros.engine.confidence import DECAY, UNKNOWN, Confidence
from vss_ros.engine.frames import AnsweredBy, Reason
from vss_ros.engine.propagation.base import Propagation, Shapes, Space
from vss_ros.engine.schedulers.fixed_interval import FixedInterval
from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation
from vss_ros.engine.tracks import SimulatedFastSlow
from vss_ros.engine.whole_network import WholeNetwork

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.frames import Frame, FrameResult
    from vss_ros.engine.view import View


class Chained(Propagation):
    """Adds one to the previous frame's features and records what it was given."""

    frame_by_frame = True

    def __init__(self, net: Backbone) -> None:
        super().__init__(Shapes.of(net, Space.FEATURES))
        self.calls: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        self.cameras: list[tuple[int, int] | None] = []

    def propagate(
        self, source: torch.Tensor, source_high: torch.Tensor, current: torch.Tensor, view: View
    ) -> torch.Tensor:
        self.calls.append((source.clone(), source_high.clone(), current.clone()))
        self.cameras.append(view.camera)
        return source_high + 1


def test_frame_by_frame_the_source_is_the_previous_frame() -> None:
    net = backbone()
    moved = Chained(net)
    stream = segmenter(net, moved=moved)
    for i in range(4):
        stream.step(frame(i))
    (_, high, first), (source, once, second), (second_source, twice, _) = moved.calls
    assert torch.equal(once, high + 1)
    assert torch.equal(twice, once + 1)
    assert torch.equal(source, first)
    assert torch.equal(second_source, second)
    assert not torch.equal(first, second)


def test_parts_know_the_cameras_size_which_motion_vectors_are_in() -> None:
    net = backbone()
    moved = Chained(net)
    stream = segmenter(net, moved=moved)
    for i in range(2):
        stream.step(frame(i, size=(96, 160)))
    assert moved.cameras == [(96, 160)]


def test_the_slow_track_computes_from_the_key_frames_image() -> None:
    def large(index: int) -> Frame:  # resized into a buffer that the next frame overwrites
        return frame(index, size=(96, 128))

    # Neither part looks at low features, so that the image itself is what the slow track gets.
    net = backbone()
    moved, scheduler = propagation(net, 'flow_warp'), FixedInterval(net.low_channels, max_interval=4)
    track = SimulatedFastSlow(WholeNetwork(net, moved, scheduler).compute, 1)
    late, blocking = segmenter(net, moved=moved, track=track), segmenter(net, moved=moved)
    for i in range(5):
        late.step(large(i))
        blocking.step(large(i))
    # One frame later the true features are there and move one hop, as those of a key frame that was awaited.
    result = late.step(large(5))
    assert result.features_accurate
    assert np.array_equal(result.labels, blocking.step(large(5)).labels)


def test_confidence_is_made_where_asked_for_and_whole_on_key_frames() -> None:
    net = backbone()
    plain = segmenter(net).step(frame(0), confidence=True)
    key = segmenter(net, moved=propagation(net)).step(frame(0), confidence=True)
    assert plain.confidence is not None
    assert key.confidence is not None
    assert np.array_equal(plain.confidence, key.confidence)
    assert plain.decision.frames_since_key == 0


def confidences(track: SimulatedFastSlow | None) -> list[float]:
    """Step through eight equal images with key frames at 0 and 4."""
    net = backbone()
    stream = segmenter(net, moved=identity_propagation(net), track=track)
    results = [stream.step(frame(i, seed=3), confidence=True) for i in range(8)]
    assert [r.decision.is_key_frame for r in results] == [i % 4 == 0 for i in range(8)]
    return [float(np.mean(r.confidence)) for r in results if r.confidence is not None]


def test_confidence_counts_frames_since_the_whole_network_over_fast_key_frames() -> None:
    blocking, fast = confidences(None), confidences(SimulatedFastSlow(backbone().high, 5))
    expected = [DECAY**i for i in range(8)]
    # Half a level of rounding each.
    assert fast == pytest.approx([fast[0] * share for share in expected], abs=1.0)
    assert blocking == pytest.approx([fast[0] * share for share in expected[:4] * 2], abs=1.0)


class Ramp(Confidence):
    """Surest on the right."""

    def of(self, _: torch.Tensor, size: tuple[int, int], age: int) -> NDArray[np.uint8]:
        assert age == 0
        return np.tile(np.linspace(0, 255, size[1]).astype(np.uint8), (size[0], 1))


def test_what_is_not_sure_enough_is_answered_as_unknown() -> None:
    stream = segmenter(backbone())
    plain = stream.step(frame(0)).labels
    stream.confidence = Ramp(least=0.5)
    hidden = stream.step(frame(0)).labels  # though nobody asks for confidence
    half = plain.shape[1] // 2
    assert (hidden[:, :half] == UNKNOWN).all()
    assert np.array_equal(hidden[:, half:], plain[:, half:])


def test_the_answers_age_counts_from_what_the_whole_network_saw() -> None:
    net = backbone()
    stream = segmenter(net, moved=identity_propagation(net), track=SimulatedFastSlow(net.high, 3))
    ages = [stream.step(frame(i, seed=3)).age for i in range(8)]
    assert ages == [0, 1, 2, 3, 4, 5, 6, 3]  # the slow track answers before the last


def test_every_decision_carries_score_and_threshold() -> None:
    net = backbone()
    scheduler = PredictedDeviation(net.low_channels, threshold=1e-6, max_interval=50).eval()
    track = SimulatedFastSlow(net.high, 2)
    stream = segmenter(net, moved=propagation(net), scheduler=scheduler, track=track)
    stream.step(frame(0))
    stream.request_key_frame()
    requested, busy = stream.step(frame(1)).decision, stream.step(frame(2)).decision
    assert (requested.is_key_frame, requested.reason) == (True, Reason.REQUESTED)
    assert (busy.is_key_frame, busy.reason) == (False, Reason.BUSY)
    for decision in (requested, busy):
        assert decision.threshold == 1e-6
        assert 1e-6 < decision.predicted_deviation < 1


def test_features_of_the_slow_track_that_are_not_finite_are_reported_and_not_used() -> None:
    net = backbone()
    seen: list[BaseException] = []
    track = SimulatedFastSlow(lambda low: torch.full_like(net.high(low), math.nan), 1)
    stream = segmenter(net, moved=propagation(net), track=track)
    stream._on_slow_track_error = seen.append
    results: list[FrameResult] = [stream.step(frame(i)) for i in range(10)]
    assert stream.slow_track_errors == len(seen) == 2  # of key frames 4 and 8
    assert 'finite' in str(seen[0])
    assert not any(r.features_accurate for r in results[4:])
    assert stream.late_results_dropped == 0


def test_late_results_are_counted() -> None:
    net = backbone()
    stream = segmenter(net, moved=propagation(net), track=SimulatedFastSlow(net.high, 2))
    for start in (0, 5, 10):
        for i in range(start, start + 5):  # the fifth is a key frame of the fast track
            stream.step(frame(i))
        stream.request_reset()
    stream.step(frame(15))
    stream.step(frame(16))
    assert stream.late_results_dropped == 3


def test_an_equal_stamp_and_the_longest_allowed_silence_break_nothing() -> None:
    net = backbone()
    stream = segmenter(net, moved=propagation(net))
    reasons = [stream.step(frame(i, stamp_ns=t)).decision.reason for i, t in enumerate((5, 5, 10**9 + 5))]
    assert reasons[0] is Reason.FIRST
    assert not {Reason.TIME_JUMP, Reason.GAP} & set(reasons)


def test_times_of_parts_have_names() -> None:
    net = backbone()
    stream = segmenter(net, moved=propagation(net))
    key, between = stream.step(frame(0)), stream.step(frame(1))
    assert between.track is AnsweredBy.PROPAGATED
    always = {'preprocess', 'low', 'motion', 'scheduler', 'propagation', 'labels'}
    assert between.seconds.keys() - {'head'} == always
    assert {'high', 'head'} <= key.seconds.keys() <= always | {'high', 'head'}
    assert key.labels.shape == SIZE
