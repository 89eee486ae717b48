"""What a progress bar counts with: every pass over every input, no more and no less."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from evaluation_parts import clip, config

from vss_ros.evaluation.sweep.pool import Job, run_jobs
from vss_ros.evaluation.sweep.progress import expected_frames

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures('one_thread')
FEW = 4


def test_as_many_frames_are_counted_as_were_expected(tmp_path: Path) -> None:
    with_masks = clip(tmp_path / 'a', FEW)
    without = clip(tmp_path / 'b', FEW - 1, masks=False)
    plain = [config('whole', propagation='none'), config('reuse', propagation='reuse')]
    plain.append(replace(config('curve', propagation='flow_warp'), pda=True, repeats=2))
    paths = (with_masks, without, tmp_path / 'missing')
    jobs = [Job(str(path), asked) for path in paths for asked in plain]
    expected = expected_frames(jobs)
    assert list(expected.values()) == [4, 4, 4 * 3, 3 + 3, 3, 3 * 3, 0, 0, 0]
    counted: Counter[Job] = Counter()
    for job, _ in run_jobs(jobs, None, on_frame=lambda job: counted.update([job])):
        assert counted[job] == expected[job]
    two = expected_frames(jobs, workers=2)
    assert [two[job] - expected[job] for job in jobs] == [0, 0, 0, 0, 3, 0, 0, 0, 0]


def test_a_live_run_goes_through_its_input_once(tmp_path: Path) -> None:
    job = Job(str(clip(tmp_path / 'c', FEW, masks=False)), config().as_live(1.0))
    assert expected_frames([job]) == {job: FEW}
