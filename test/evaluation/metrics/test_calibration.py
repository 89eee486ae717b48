"""Expected calibration error on pixels whose confidence and truth are known, and what hiding does to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vss_ros.evaluation.metrics import Naming
from vss_ros.evaluation.metrics.calibration import LATE, CalibrationError

NAMES = Naming(('road', 'sky'), 'miou')
VOID = 2


def row(*values: int) -> Any:
    return np.array([values], np.uint8)


def counted() -> CalibrationError:
    """Return counts of a key frame (8 pixels sure by 0.8, 6 right) and of a late one (4 by 0.2, 1 right)."""
    metric = CalibrationError(2, VOID)
    truth, mask = row(0, 0, 0, 1, 1, 1, 0, 1, VOID), row(0, 0, 0, 1, 1, 1, 1, 0, 0)
    metric.add(0, truth, mask, row(*[204] * 9))
    metric.add(LATE, row(0, 0, 1, 1), row(0, 1, 0, 0), row(*[51] * 4))
    return metric


def test_the_error_is_the_distance_from_the_share_of_right_answers() -> None:
    found = counted().values(NAMES)['calibration']
    assert found['by_age']['key'] == {'ece': pytest.approx(0.05), 'bins': [[0.8, 0.75, 8]]}
    assert found['by_age']['late'] == {'ece': pytest.approx(0.05), 'bins': [[0.2, 0.25, 4]]}
    assert 'propagated' not in found['by_age']
    assert found['ece'] == pytest.approx(0.05)


def test_errors_of_two_bins_do_not_cancel() -> None:
    metric = CalibrationError(2, VOID)
    metric.add(1, row(0, 1), row(0, 0), row(51, 204))  # right where unsure, wrong where sure
    assert metric.values(NAMES)['calibration']['by_age']['propagated']['ece'] == pytest.approx(0.8)


def test_hiding_below_a_half_catches_the_late_errors() -> None:
    hiding = {entry['min_confidence']: entry for entry in counted().values(NAMES)['calibration']['hiding']}
    assert hiding[0.5] == {
        'min_confidence': 0.5,
        'unknown': pytest.approx(4 / 12),
        'miou': pytest.approx(0.6),
        'caught': pytest.approx(3 / 5),
    }
    assert hiding[0.125]['unknown'] == 0


def test_pixels_answered_as_unknown_are_a_share_of_their_own() -> None:
    metric = CalibrationError(2, VOID)
    metric.add(1, row(0, 0, 1, 1), row(0, 255, 1, 255), row(255, 10, 255, 10))
    found = metric.values(NAMES)['calibration']
    assert (found['unknown'], found['known_miou'], found['ece']) == (0.5, 1.0, 0.0)


def test_counts_add_up_and_come_back_from_files() -> None:
    other = CalibrationError.from_dict(counted().to_dict())
    other.merge(counted())
    found = other.values(NAMES)['calibration']
    assert found['by_age']['key']['bins'] == [[0.8, 0.75, 16]]
    assert other.values(Naming(NAMES.classes, 'agreement')) == {'calibration': None}
