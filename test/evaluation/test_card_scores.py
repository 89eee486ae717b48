"""What counts as the same score."""

from __future__ import annotations

from math import nan

import pytest

from vss_ros.evaluation.card_scores import TOLERANCE, differences


@pytest.mark.parametrize(
    ('stated', 'measured', 'said'),
    [
        (0.7, 0.7 + TOLERANCE, ''),
        (0.7, 0.7 - 1.1 * TOLERANCE, 'states 0.7, measured is 0.6989'),
        (nan, nan, ''),
        (nan, 0.5, 'states nan, measured is 0.5'),
        (0.5, nan, 'states 0.5, measured is nan'),
    ],
)
def test_within_tolerance_and_a_class_that_is_not_there(stated: float, measured: float, said: str) -> None:
    cards = ({'miou': 0.5, 'per_class_iou': {'sky': score}} for score in (stated, measured))
    faults = list(differences(*cards))
    assert [said in fault for fault in faults] == ([True] if said else [])


def test_a_score_that_no_card_states_is_a_fault() -> None:
    assert list(differences({}, {'miou': 0.5})) == ['miou: the card states nothing, measured is 0.5']
