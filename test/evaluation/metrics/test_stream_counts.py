"""Key frames, distances, drops and latencies of a stream, by hand."""

from __future__ import annotations

from math import isnan, nan

import pytest

from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.stream_counts import StreamCounts
from vss_ros.evaluation.replay.decisions import DecisionRow


def row(index: int, distance: int, *, key: bool, reason: str) -> DecisionRow:
    return DecisionRow(index, index, key, reason, nan, nan, 0, distance, 'full', True, 0.0)


ROWS = [
    (row(0, 0, key=True, reason='first'), 0.1),
    (row(1, 1, key=False, reason='deviation'), 0.01),
    (row(2, 2, key=False, reason='deviation'), 0.02),
    (row(3, 3, key=True, reason='deviation'), 0.03),  # the fast track answers a key frame from the old one
    (row(4, 1, key=False, reason='busy'), 0.04),
]


def counts(rows: list[tuple[DecisionRow, float]]) -> StreamCounts:
    result = StreamCounts()
    for decided, latency in rows:
        result.add(decided, latency)
    return result


def test_by_hand() -> None:
    stream = counts(ROWS)
    stream.add_drops('replaced', 3)
    stream.add_drops('error')
    stream.add_drops('rejected', 0)
    assert (stream.frames, stream.key_frames) == (5, 2)
    assert stream.key_frame_rate == 0.4
    assert stream.mean_interval == 2.5
    assert stream.distances == {0: 1, 1: 2, 2: 1, 3: 1}
    assert stream.reasons == {'busy': 1, 'deviation': 3, 'first': 1}
    assert stream.drops == {'error': 1, 'replaced': 3}
    assert stream.latency_ms['p50'] == 30
    assert stream.latency_ms['max'] == 100
    assert stream.latency_key_ms == {'p50': 65, 'p95': 96.5, 'p99': 99.3, 'max': 100}
    assert stream.latency_nonkey_ms['p50'] == 20


def test_merge_equals_one_after_the_other() -> None:
    whole, first, second = counts(ROWS), counts(ROWS[:3]), counts(ROWS[3:])
    for stream, drops in ((whole, 3), (first, 1), (second, 2)):
        stream.add_drops('replaced', drops)
    second.merge(first)
    assert second.latency_ms == whole.latency_ms
    assert second.latency_key_ms == whole.latency_key_ms
    assert (second.key_frames, second.distances) == (whole.key_frames, whole.distances)
    assert (second.reasons, second.drops) == (whole.reasons, whole.drops)


def test_without_a_clock_and_without_frames() -> None:
    stream = StreamCounts()
    assert isnan(stream.key_frame_rate)
    assert isnan(stream.mean_interval)
    for decided, _ in ROWS:
        stream.add(decided)
    assert stream.key_frame_rate == 0.4
    assert stream.latency_ms == stream.latency_key_ms == stream.latency_nonkey_ms == {}
    with pytest.raises(VssError, match='dropped'):
        stream.add_drops('error', -1)
