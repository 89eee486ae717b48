"""The streaming rule, by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.streaming import StreamingAccuracy, publish_times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MS = 10**6


def flat(class_id: int, pixels: int = 4) -> NDArray[np.uint8]:
    return np.full((1, pixels), class_id, np.uint8)


def feed(
    accuracy: StreamingAccuracy,
    frames: Sequence[tuple[int, NDArray[np.uint8] | None]],
    masks: list[tuple[int, int, NDArray[np.uint8]]],
) -> None:
    """Score one whole stream."""
    accuracy.new_stream()
    for published, stamp, mask in masks:
        accuracy.add_mask(published, stamp, mask)
    for stamp, truth in frames:
        accuracy.add_frame(stamp, truth)


TRUTHS = [
    (0, flat(0)),
    (100 * MS, flat(0)),
    (200 * MS, flat(1)),
    (300 * MS, flat(1)),
    (400 * MS, flat(0)),
]
"""Five frames at 10 Hz; the scene changes between 100 and 200 ms and back between 300 and 400."""
MASKS = [(130 * MS, 0, flat(0)), (200 * MS, 100 * MS, flat(0)), (390 * MS, 200 * MS, flat(1))]
"""Published at 130, 200 and 390 ms; the frames of 300 and 400 ms are answered too late or never."""


def test_by_hand() -> None:
    accuracy = StreamingAccuracy(2, 255)
    feed(accuracy, TRUTHS, MASKS)
    # 0, 100 ms: nothing yet, wrong.  200: the mask of 100 (published that instant), 0 for 1, wrong.
    # 300: the same mask, wrong.  400: the mask of 200, 1 for 0, wrong.
    assert accuracy.confusion.counts.tolist() == [[0, 4, 8], [8, 0, 0]]
    assert accuracy.miou == 0
    assert (accuracy.labelled, accuracy.misses) == (5, 2)
    assert accuracy.mean_staleness_frames == pytest.approx((1 + 2 + 2) / 3)


def test_the_same_masks_in_no_time_are_all_right() -> None:
    accuracy = StreamingAccuracy(2, 255)
    feed(accuracy, TRUTHS, [(stamp, stamp, truth) for stamp, truth in TRUTHS])
    assert (accuracy.miou, accuracy.misses, accuracy.mean_staleness_frames) == (1, 0, 0)


def test_one_frame_late_by_hand() -> None:
    accuracy = StreamingAccuracy(2, 255)
    feed(accuracy, TRUTHS, [(stamp + 50 * MS, stamp, truth) for stamp, truth in TRUTHS])
    # A miss, then 0 for 0, 0 for 1, 1 for 1, 1 for 0: intersections 4 and 4, unions 4+4+8 and 4+8.
    assert accuracy.confusion.counts.tolist() == [[4, 4, 4], [4, 4, 0]]
    assert accuracy.miou == pytest.approx((4 / 16 + 4 / 12) / 2)
    assert accuracy.mean_staleness_frames == 1


def test_void_truth_counts_not_even_in_a_miss() -> None:
    accuracy = StreamingAccuracy(2, 7)
    feed(accuracy, [(5, np.array([[0, 7, 1]], np.uint8))], [])
    assert accuracy.confusion.counts.tolist() == [[0, 0, 1], [0, 0, 1]]
    assert accuracy.misses == 1
    assert np.isnan(accuracy.mean_staleness_frames)


def test_unlabelled_frames_age_a_mask() -> None:
    accuracy = StreamingAccuracy(2, 255)
    frames = [(stamp, truth if stamp == 300 * MS else None) for stamp, truth in TRUTHS]
    feed(accuracy, frames, MASKS[:1])
    assert (accuracy.labelled, accuracy.misses, accuracy.mean_staleness_frames) == (1, 0, 3)


def test_frame_by_frame_equals_the_whole_stream_and_streams_do_not_mix() -> None:
    whole, stepwise = StreamingAccuracy(2, 255), StreamingAccuracy(2, 255)
    for _ in range(2):
        feed(whole, TRUTHS, MASKS)
        stepwise.new_stream()
        answers = {stamp: (published, mask) for published, stamp, mask in MASKS}
        for stamp, truth in TRUTHS:
            if stamp in answers:
                published, mask = answers[stamp]
                stepwise.add_mask(published, stamp, mask)
            stepwise.add_frame(stamp, truth)
    assert np.array_equal(whole.confusion.counts, stepwise.confusion.counts)
    assert whole.misses == stepwise.misses == 4
    assert whole.mean_staleness_frames == stepwise.mean_staleness_frames


def test_merge_equals_one_after_the_other() -> None:
    whole, first, second = (StreamingAccuracy(2, 255) for _ in range(3))
    feed(first, TRUTHS, MASKS)
    feed(second, TRUTHS[:3], MASKS[:1])
    for masks, truths in ((MASKS, TRUTHS), (MASKS[:1], TRUTHS[:3])):
        feed(whole, truths, masks)
    first.merge(second)
    assert np.array_equal(first.confusion.counts, whole.confusion.counts)
    assert (first.labelled, first.misses) == (whole.labelled, whole.misses) == (8, 4)
    assert first.mean_staleness_frames == whole.mean_staleness_frames
    kept = StreamingAccuracy.from_dict(json.loads(json.dumps(first.to_dict())))
    kept.merge(StreamingAccuracy(2, 255))
    assert kept.to_dict() == whole.to_dict()
    assert kept.mean_staleness_frames == whole.mean_staleness_frames


def test_of_masks_published_at_once_the_latest_frame_counts() -> None:
    accuracy = StreamingAccuracy(2, 255)
    accuracy.add_mask(100, 60, flat(1))
    accuracy.add_mask(100, 50, flat(0))
    accuracy.add_frame(100, flat(1))
    assert accuracy.miou == 1


def test_errors() -> None:
    accuracy = StreamingAccuracy(2, 255)
    with pytest.raises(VssError, match='one clock'):
        accuracy.add_mask(99, 100, flat(0))
    accuracy.add_mask(200, 100, flat(0))
    with pytest.raises(VssError, match='order'):
        accuracy.add_mask(150, 110, flat(0))
    accuracy.add_frame(100, None)
    with pytest.raises(VssError, match='new_stream'):
        accuracy.add_frame(100, None)
    with pytest.raises(VssError, match='shape'):
        accuracy.add_frame(200, flat(0, 3))
    with pytest.raises(VssError, match='classes'):
        accuracy.merge(StreamingAccuracy(3, 255))


def test_publish_times_by_hand() -> None:
    stamps = [second * 10**9 for second in range(6)]
    assert publish_times(stamps, [0.4] * 6) == [stamp + 4 * 10**8 for stamp in stamps]
    # 0 runs to 2.5; 1 is replaced by 2, which runs to 5.0; 3 by 4, which runs to 7.5; 5 waits and runs to 10.
    slow = publish_times(stamps, [2.5] * 6)
    assert [None if t is None else t / 1e9 for t in slow] == [2.5, None, 5, None, 7.5, 10]
    # One slow frame: 1 waits from 1 to 1.7, 2 from 2 to 2.1, then there is no queue left.
    mixed = publish_times(stamps, [1.7, 0.4, 0.4, 0.4, 0.4, 0.4])
    assert [None if t is None else t / 1e9 for t in mixed] == pytest.approx([1.7, 2.1, 2.5, 3.4, 4.4, 5.4])
    assert publish_times([], []) == []
