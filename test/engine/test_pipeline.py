"""The algorithm: what becomes a key frame, who answers, what is cached."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from engine_parts import backbone, frame, identity_propagation, propagation, segmenter, view_of

from vss_ros.engine.frames import AnsweredBy, Frame, Reason
from vss_ros.engine.schedulers.fixed_interval import FixedInterval
from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation
from vss_ros.engine.tracks import FastSlow, SimulatedFastSlow
from vss_ros.errors import VssError


def test_whole_network_runs_on_every_frame_without_propagation() -> None:
    net = backbone()
    stream = segmenter(net)
    results = [stream.step(frame(i)) for i in range(3)]
    assert [r.decision.reason for r in results] == [Reason.FIRST, Reason.EVERY_FRAME, Reason.EVERY_FRAME]
    assert all(
        r.track is AnsweredBy.FULL and r.decision.is_key_frame and r.features_accurate for r in results
    )
    assert results[0].labels.shape == (48, 64)
    assert results[0].labels.dtype == np.uint8
    assert results[0].confidence is None


def test_fixed_interval_makes_every_fourth_frame_a_key_frame() -> None:
    net = backbone()
    stream = segmenter(net, moved=propagation(net))
    results = [stream.step(frame(i)) for i in range(9)]
    assert [r.decision.is_key_frame for r in results] == [True, False, False, False] * 2 + [True]
    assert [r.decision.frames_since_key for r in results] == [0, 1, 2, 3] * 2 + [0]
    assert results[3].decision.key_frame_stamp_ns == 0
    assert results[5].decision.key_frame_stamp_ns == frame(4).stamp_ns
    assert [r.track for r in results[:2]] == [AnsweredBy.FULL, AnsweredBy.PROPAGATED]


def test_a_frame_like_its_key_frame_gets_the_same_answer_with_identity_kernels() -> None:
    net = backbone()
    moved = identity_propagation(net)
    stream = segmenter(net, moved=moved)
    first, second = stream.step(frame(0, seed=7)), stream.step(frame(1, seed=7))
    assert second.track is AnsweredBy.PROPAGATED
    assert (first.labels == second.labels).mean() > 0.999


@pytest.mark.parametrize(
    ('second', 'reason'),
    [
        (frame(1, size=(64, 48)), Reason.SIZE_CHANGE),
        (frame(1, stamp_ns=-5), Reason.TIME_JUMP),
        (frame(1, stamp_ns=3_000_000_000), Reason.GAP),
    ],
)
def test_a_broken_stream_starts_afresh(second: Frame, reason: Reason) -> None:
    net = backbone()
    stream = segmenter(net, moved=propagation(net), track=SimulatedFastSlow(net.high, 1))
    stream.step(frame(0))
    result = stream.step(second)
    assert result.decision.is_key_frame
    assert result.decision.reason is reason
    assert result.track is AnsweredBy.FULL  # there is nothing left that could be propagated


def test_requests_make_key_frames() -> None:
    net = backbone()
    stream = segmenter(net, moved=propagation(net))
    stream.step(frame(0))
    stream.request_key_frame()
    assert stream.step(frame(1)).decision.reason is Reason.REQUESTED
    stream.request_reset()
    stream.request_key_frame()  # a reset is the stronger wish
    assert stream.step(frame(2)).decision.reason is Reason.RESET
    assert not stream.step(frame(3)).decision.is_key_frame


def test_fast_track_answers_and_slow_track_replaces_after_the_delay() -> None:
    net = backbone()
    moved = propagation(net)
    stream = segmenter(net, moved=moved, track=SimulatedFastSlow(net.high, 2))
    results = [stream.step(frame(i)) for i in range(8)]
    assert [r.track for r in results[3:6]] == [AnsweredBy.PROPAGATED, AnsweredBy.FAST, AnsweredBy.PROPAGATED]
    assert [r.features_accurate for r in results] == [True] * 4 + [False, False, True, True]

    # After the swap frame 6 is exactly what propagation from the true features of frame 4 gives.
    with torch.inference_mode():
        view4, view6 = view_of(net, frame(4)), view_of(net, frame(6))
        expected = net.head(moved(view4, net.high(view4.low), view6))
    from vss_ros.engine.labels import argmax_upsampled

    assert np.array_equal(results[6].labels, argmax_upsampled(expected, (48, 64)))


def test_simulated_slow_track_repeats_to_the_bit() -> None:
    net = backbone()
    moved = propagation(net)

    def masks() -> list[bytes]:
        stream = segmenter(net, moved=moved, track=SimulatedFastSlow(net.high, 2))
        return [stream.step(frame(i), confidence=True).labels.tobytes() for i in range(8)]

    assert masks() == masks()


def test_background_slow_track_never_blocks_and_its_late_result_is_dropped() -> None:
    net = backbone()
    release = threading.Event()

    def slow_high(low: torch.Tensor) -> torch.Tensor:
        assert release.wait(20)
        high: torch.Tensor = net.high(low)
        return high

    track = FastSlow(slow_high)
    stream = segmenter(net, moved=propagation(net), track=track)
    results = [stream.step(frame(i)) for i in range(7)]  # returns although slow_high waits
    assert results[4].track is AnsweredBy.FAST
    assert not results[6].features_accurate
    stream.request_reset()
    stream.step(frame(7))
    release.set()
    track.close()  # its result is there now, for a key frame of a stream that was reset
    assert stream.step(frame(8)).features_accurate
    assert stream.late_results_dropped == 1


def test_background_result_arrives() -> None:
    net = backbone()
    moved = propagation(net)
    done = threading.Event()

    def high(low: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = net.high(low)
        done.set()
        return result

    track = FastSlow(high)
    stream = segmenter(net, moved=moved, track=track)
    for i in range(5):
        stream.step(frame(i))
    assert done.wait(20)
    for i in range(5, 8):
        result = stream.step(frame(i))
        if result.features_accurate:
            break
        threading.Event().wait(0.1)
    assert result.features_accurate
    stream.close()


def test_error_in_the_slow_track_is_reported_and_the_fast_track_goes_on() -> None:
    net = backbone()
    seen: list[BaseException] = []

    def broken(_: torch.Tensor) -> torch.Tensor:
        msg = 'out of memory'
        raise RuntimeError(msg)

    track = FastSlow(broken)
    stream = segmenter(net, moved=propagation(net), track=track)
    stream._on_slow_track_error = seen.append
    results = []
    for i in range(12):
        results.append(stream.step(frame(i)))
        threading.Event().wait(0.05)
    assert stream.slow_track_errors >= 1
    assert str(seen[0]) == 'out of memory'
    assert sum(r.decision.is_key_frame for r in results) == 3  # the scheduler's rhythm is not disturbed
    stream.close()


def test_no_second_slow_computation_while_one_is_under_way() -> None:
    net = backbone()
    scheduler = FixedInterval(net.low_channels, max_interval=2)
    stream = segmenter(net, moved=propagation(net), scheduler=scheduler, track=SimulatedFastSlow(net.high, 3))
    reasons = [stream.step(frame(i)).decision.reason for i in range(7)]
    assert reasons[2] is Reason.INTERVAL  # key frame, slow result due at frame 5
    assert reasons[4] is Reason.BUSY
    assert reasons[5] is Reason.INTERVAL


def test_requested_key_frame_waits_for_the_busy_slow_track() -> None:
    net = backbone()
    stream = segmenter(net, moved=propagation(net), track=SimulatedFastSlow(net.high, 2))
    for i in range(5):
        stream.step(frame(i))
    stream.request_key_frame()
    assert stream.step(frame(5)).decision.reason is Reason.BUSY
    assert stream.step(frame(6)).decision.reason is Reason.REQUESTED


def test_not_finite_features_raise_and_the_next_frame_starts_afresh() -> None:
    net = backbone()
    stream = segmenter(net, moved=propagation(net))
    bias = dict(net.named_parameters())['lateral8.bias']
    kept = bias.detach().clone()
    with torch.no_grad():
        bias.fill_(math.nan)
    with pytest.raises(VssError, match='finite'):
        stream.step(frame(0))
    with torch.no_grad():
        bias.copy_(kept)
    assert stream.step(frame(1)).decision.reason is Reason.RESET


def test_predicted_deviation_is_compared_with_the_threshold() -> None:
    net = backbone()
    scheduler = PredictedDeviation(net.low_channels, threshold=1e-6, max_interval=50).eval()
    stream = segmenter(net, moved=propagation(net), scheduler=scheduler)
    stream.step(frame(0))
    decision = stream.step(frame(1)).decision
    assert decision.is_key_frame
    assert decision.reason is Reason.DEVIATION
    assert 0 < decision.predicted_deviation < 1
    scheduler.adjust(threshold=0.999)
    assert not stream.step(frame(2)).decision.is_key_frame


def test_confidence_falls_with_distance() -> None:
    net = backbone()
    moved = identity_propagation(net)
    stream = segmenter(net, moved=moved)
    means = []
    for i in range(4):
        confidence = stream.step(frame(i, seed=3), confidence=True).confidence
        assert confidence is not None
        assert confidence.shape == (48, 64)
        means.append(float(confidence.mean()))
    assert means == sorted(means, reverse=True)
    assert means[3] < means[0]


@pytest.mark.parametrize(
    ('previous_ns', 'follows_ns', 'is_gap'),
    [(0, 2_950_000_000, False), (0, 1_500_000_000, True), (0, None, True), (2_500_000_000, 1, False)],
)
def test_a_gap_is_counted_from_the_image_before_also_where_that_was_not_segmented(
    previous_ns: int, follows_ns: int | None, is_gap: bool
) -> None:
    net = backbone()
    stream = segmenter(net, moved=propagation(net))
    stream.step(frame(0, stamp_ns=previous_ns))
    # The camera went on; the images in between were overwritten while the segmenter was busy.
    decision = stream.step(replace(frame(1, stamp_ns=3_000_000_000), follows_ns=follows_ns)).decision
    assert decision.is_key_frame is is_gap
    assert (decision.reason is Reason.GAP) is is_gap


def test_a_slow_result_of_a_frame_that_failed_does_not_land_in_the_stream_that_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = backbone()
    moved = propagation(net)
    stream = segmenter(net, moved=moved, track=SimulatedFastSlow(net.high, 2))
    for i in range(4):
        stream.step(frame(i))

    def fail(*_: object) -> torch.Tensor:
        msg = 'out of memory'
        raise RuntimeError(msg)

    with monkeypatch.context() as broken:
        broken.setattr(moved, 'propagate', fail)
        with pytest.raises(RuntimeError):
            stream.step(frame(4))  # a key frame: neither stored nor submitted to the slow track
    assert not stream.parts.track.busy
    fresh = segmenter(net, moved=moved)
    for i in (5, 6, 7):
        assert np.array_equal(stream.step(frame(i)).labels, fresh.step(frame(i)).labels)
    assert stream.late_results_dropped == 0
