"""The metric that CONTRIBUTING shows does what it says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from evaluation_parts import clip, config

from vss_ros.evaluation.metrics import METRICS
from vss_ros.evaluation.replay.evaluate_bag import evaluate_bag
from vss_ros.evaluation.sweep.outputs import Evaluation

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.usefixtures('one_thread')
def test_the_example_of_contributing_is_in_the_summary(
    project_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (project_root / 'CONTRIBUTING.md').read_text()
    (code,) = re.findall(
        r'```python\n# (from vss_ros.evaluation.metrics import .*?@METRICS.*?)```', text, re.DOTALL
    )
    monkeypatch.setattr(METRICS, '_members', dict(METRICS._members))
    exec(code, {'__name__': 'their_metric'})
    evaluation = Evaluation.of([(config(), [evaluate_bag(clip(tmp_path / 'a'), config())])])
    (result,) = evaluation.results
    assert 0 < result['sky'] <= 1
