from __future__ import annotations

import numpy as np
import pytest

from vss_ros.evaluation.report.noise import BLOCK, confidence, student_quantile


@pytest.mark.parametrize(
    ('freedom', 'quantile'), [(5, 2.5706), (6, 2.4469), (9, 2.2622), (19, 2.0930), (100, 1.9840)]
)
def test_student_as_in_the_tables(freedom: int, quantile: float) -> None:
    assert student_quantile(freedom) == pytest.approx(quantile, rel=0.003)


def test_interval_by_hand() -> None:
    """Six blocks of one frame: mean 3.5, standard deviation of the mean 0.7638, quantile 2.5706."""
    interval = confidence([1, 2, 3, 4, 5, 6])
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((3.5 - 1.9634, 3.5 + 1.9634), abs=0.005)
    assert interval.sign == 1


def test_too_few_frames_say_nothing() -> None:
    assert confidence([1.0] * 5) is None
    assert confidence([]) is None


def test_95_of_100_intervals_hold_the_truth_though_frames_are_alike() -> None:
    rng, held = np.random.default_rng(0), 0
    for _ in range(400):
        steps = rng.standard_normal(20 * BLOCK + 7)
        frames = [steps[0]]
        for step in steps[1:]:
            frames.append(0.7 * frames[-1] + step)
        interval = confidence(frames)
        assert interval is not None
        held += interval.low <= 0 <= interval.high
    # Blocks of 15 frames with a memory of about 3 leave little of it between them.
    assert 0.90 <= held / 400 <= 0.98
