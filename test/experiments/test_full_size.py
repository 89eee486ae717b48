"""Images of either size are scored by the labels of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from data_trees import picture

from experiments import full_size
from vss_ros.datasets.labelled import LabelledImages

if TYPE_CHECKING:
    import pytest


def test_each_row_has_both_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full_size, 'SIZES', ((32, 64), (32, 64), (64, 96)))
    monkeypatch.setattr(full_size, 'SYSTEMS', {'per frame': {'propagation': 'none', 'threads': 1}})
    void = np.full((32, 48), 11, np.uint8)
    road = np.full((64, 96), 3, np.uint8)
    small = LabelledImages([picture(0, (32, 48))], [void], ['a'])
    full = LabelledImages([picture(0, (64, 96))], [road], ['a'])
    rows = list(full_size.both_sizes(small, full))
    assert [(row['images'], row['input']) for row in rows] == [
        ('48x32', '32x64'), ('48x32', '32x64'), ('96x64', '32x64'), ('96x64', '32x64'), ('96x64', '64x96')
    ]  # fmt: skip
    for row in rows:
        assert np.isnan(row['per frame, labels 48x32'])  # void counts nowhere
        assert 0 <= row['per frame, labels 96x64'] <= 100
