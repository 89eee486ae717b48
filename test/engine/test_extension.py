"""A propagation from outside the package: one file, one decorator."""

from __future__ import annotations

import importlib
import re
import sys
from typing import TYPE_CHECKING

from engine_parts import backbone, frame, propagation, segmenter

from vss_ros.engine.frames import AnsweredBy
from vss_ros.engine.propagation import PROPAGATIONS

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_example_of_contributing_runs(
    project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code that CONTRIBUTING shows, in a module of somebody else's."""
    text = (project_root / 'CONTRIBUTING.md').read_text()
    (code,) = re.findall(r'```python\n(.*?@PROPAGATIONS.*?)```', text, re.DOTALL)
    (tmp_path / 'their_propagation.py').write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(PROPAGATIONS, '_members', dict(PROPAGATIONS._members))
    importlib.import_module('their_propagation')
    try:
        net = backbone()
        stream = segmenter(net, moved=propagation(net, 'half_warp'))
        results = [stream.step(frame(i)) for i in range(3)]
    finally:
        del sys.modules['their_propagation']
    assert [r.track for r in results] == [AnsweredBy.FULL, AnsweredBy.PROPAGATED, AnsweredBy.PROPAGATED]
    assert results[2].labels.shape == (48, 64)
