"""Damaged and odd inputs over every verb: see ``hostile.py``, which also runs more of them."""

from __future__ import annotations

import pytest
from hostile import search

RUNS = 300
"""Some five minutes."""


@pytest.mark.slow
@pytest.mark.parametrize('seed', [1, 2, 3])
def test_nothing_wrong_passes_and_nothing_ends_in_a_traceback(seed: int) -> None:
    assert search(RUNS, seed) == []
