"""Answers where there is nothing to propagate, at low resolution, and where nothing has changed, none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from engine_parts import backbone, propagation, segmenter

from vss_ros.engine.build import build_segmenter
from vss_ros.engine.frames import AnsweredBy, Frame, FrameResult, Reason
from vss_ros.engine.options import SegmenterConfig
from vss_ros.engine.schedulers.fixed_interval import FixedInterval
from vss_ros.engine.tracks import SimulatedFastSlow
from vss_ros.recordings.open import open_source

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from vss_ros.engine.pipeline import StreamSegmenter

Images = list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]


@pytest.fixture(scope='module')
def street(project_root: Path) -> Images:
    """Six images of the embedded drive, a quarter of a second apart."""
    with open_source(project_root / 'test/data/street') as source:
        return [frame.image for frame, _ in source][40:64:4]


@pytest.fixture(scope='module')
def shared() -> StreamSegmenter:
    """The default, whose slow track answers two frames later; each test resets it."""
    config = SegmenterConfig(device='cpu', size=(96, 128), slow_delay=2)
    return build_segmenter(config).segmenter


@pytest.fixture
def default(shared: StreamSegmenter) -> StreamSegmenter:
    shared.parts.track.finish()
    while shared.parts.track.busy:
        shared.parts.track.collect()
    shared.request_reset()
    return shared


def steps(stream: StreamSegmenter, images: Iterable[NDArray[np.uint8]], start: int = 0) -> list[FrameResult]:
    return [stream.step(Frame(image, i * 66_000_000, i)) for i, image in enumerate(images, start)]


def test_the_first_frame_is_answered_at_a_quarter_of_the_pixels_then_by_all(
    default: StreamSegmenter, street: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, compute = [], default.network.compute

    def counted(entry: Tensor) -> Tensor:
        sizes.append(tuple(entry.shape[1:3]))
        result: Tensor = compute(entry)
        return result

    monkeypatch.setattr(default.network, 'compute', counted)
    monkeypatch.setattr(default.parts.track, '_compute', counted)
    results = steps(default, street[:1] * 4)
    assert sizes == [(64, 64), (96, 128)]
    assert [r.features_accurate for r in results] == [False, False, True, True]
    # Roughly the same answer: of the same image, at twice the stride.
    small, whole = results[0], results[-1]
    assert small.labels.shape == whole.labels.shape
    assert (small.labels == whole.labels).mean() > 0.6


def test_the_first_answer_says_what_it_is(default: StreamSegmenter, street: Images) -> None:
    first = steps(default, street[:1])[0]
    assert (first.track, first.decision.reason) == (AnsweredBy.FAST, Reason.RESET)
    assert first.decision.is_key_frame
    assert not first.features_accurate


def test_another_scene_is_not_answered_from_the_one_before(default: StreamSegmenter, street: Images) -> None:
    other = np.ascontiguousarray(street[0][::-1, ::-1])
    results = steps(default, [*street[:4], other])
    assert {r.decision.reason for r in results[1:4]} <= {Reason.DEVIATION, Reason.BUSY}
    assert (results[4].track, results[4].decision.reason) == (AnsweredBy.FAST, Reason.SCENE_CHANGE)
    default.request_reset()
    alone = steps(default, [other], 20)[0]
    assert np.array_equal(results[4].labels, alone.labels)


def test_a_scene_that_came_while_the_slow_track_was_busy_is_computed_next(
    default: StreamSegmenter, street: Images
) -> None:
    other = np.ascontiguousarray(street[0][::-1, ::-1])
    results = steps(default, [*street[:3], *[other] * 6])
    assert results[2].decision.is_key_frame  # so that the track is busy
    assert results[-1].features_accurate
    assert results[3].decision.reason is Reason.SCENE_CHANGE
    assert Reason.INACCURATE in {r.decision.reason for r in results[4:]}
    assert default.late_results_dropped >= 1  # that of the scene before


def test_a_standing_scene_costs_no_network_and_no_motion(
    default: StreamSegmenter, street: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    noisy = [(street[0] + rng.normal(0, 2, street[0].shape)).clip(0, 255).astype(np.uint8) for _ in range(12)]
    before = steps(default, noisy[:5])
    assert before[-1].features_accurate
    monkeypatch.setattr(default.network, 'propagate', None)
    monkeypatch.setattr(default.network, 'compute', None)
    monkeypatch.setattr(default._trail, 'follow', None)
    still = steps(default, noisy[5:], 5)
    assert {r.decision.reason for r in still} == {Reason.STILL}
    assert {r.decision.frames_since_key for r in still} == {before[-1].decision.frames_since_key}
    assert all(np.array_equal(r.labels, before[-1].labels) for r in still)
    assert [r.frame_index for r in still] == [r.decision.frame_index for r in still] == list(range(5, 12))


def test_what_is_small_and_moves_is_no_standing_scene(default: StreamSegmenter, street: Images) -> None:
    steps(default, [street[0]] * 5)
    walker = street[0].copy()
    size = max(walker.shape[0] // 96 * 6, 6)  # six pixels of the network's input
    walker[100 : 100 + size, 200 : 200 + size] = 255 - walker[100 : 100 + size, 200 : 200 + size]
    last = steps(default, [street[0], walker, walker], 5)
    assert last[0].decision.reason is Reason.STILL
    assert last[1].decision.reason is not Reason.STILL
    assert last[2].decision.reason is Reason.STILL


def test_slow_changes_add_up(default: StreamSegmenter, street: Images) -> None:
    images = [np.clip(street[0].astype(int) + 3 * i, 0, 255).astype(np.uint8) for i in range(8)]
    steps(default, [images[0]] * 5)
    reasons = [r.decision.reason for r in steps(default, images, 5)]
    assert reasons[:4] == [Reason.STILL] * 4
    assert Reason.STILL not in reasons[4:5]


def test_confidence_is_computed_when_it_is_asked_for(default: StreamSegmenter, street: Images) -> None:
    steps(default, street[:1] * 5)
    frames = [Frame(street[0], i * 66_000_000, i) for i in range(5, 8)]
    assert default.step(frames[0]).decision.reason is Reason.STILL
    asked = [default.step(frame, confidence=True) for frame in frames[1:]]
    assert [r.confidence is None for r in asked] == [False, False]
    assert asked[1].decision.reason is Reason.STILL


def test_what_starts_from_low_features_computes_the_first_frame_whole() -> None:
    net = backbone()
    moved = propagation(net)
    assert moved.needs_low
    scheduler = FixedInterval(net.low_channels, max_interval=4)
    stream = segmenter(net, moved=moved, scheduler=scheduler, track=SimulatedFastSlow(net.high, 1))
    first = stream.step(Frame(np.zeros((48, 64, 3), np.uint8), 0, 0))
    assert first.track is AnsweredBy.FULL
    assert first.features_accurate
