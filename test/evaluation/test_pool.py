"""Worker processes: the same results as in one, and a worker's death is not the run's."""

from __future__ import annotations

import multiprocessing
import shutil
from typing import TYPE_CHECKING

import pytest
from evaluation_parts import clip, config

from vss_ros.errors import VssError
from vss_ros.evaluation.pool import Job, run_jobs

if TYPE_CHECKING:
    from pathlib import Path

FEW = 5


@pytest.fixture(scope='module')
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip(tmp_path_factory.mktemp('clip'), FEW)


def test_workers_change_nothing_and_survive_a_killed_one(images: Path, tmp_path: Path) -> None:
    second = shutil.copytree(images.parent, tmp_path / 'c') / 'images'
    paths = [str(images), str(second), str(tmp_path / 'missing')]
    jobs = [Job(path, config(p, propagation=p)) for path in paths for p in ('none', 'reuse')]
    killed: list[Job] = []

    def kill_once(job: Job) -> None:
        if not killed:
            killed.append(job)
            multiprocessing.active_children()[0].kill()

    alone = {job: found.result for job, found in run_jobs(jobs, None)}
    together = {job: found.result for job, found in run_jobs(jobs, None, workers=2, on_frame=kill_once)}
    assert killed
    assert together == alone
    assert [job.path for job, result in alone.items() if result.failed] == [paths[2]] * 2
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_an_input_that_kills_every_worker_is_given_up(images: Path) -> None:
    def kill(_: Job) -> None:
        for child in multiprocessing.active_children():
            child.kill()

    [(_, found)] = run_jobs([Job(str(images), config())], None, workers=2, on_frame=kill)
    assert found.result.failed
    assert 'died 2 times' in found.result.reason


def test_a_configuration_that_cannot_be_built_ends_the_run(images: Path) -> None:
    for workers in (1, 2):
        with pytest.raises(VssError, match='no propagation is called'):
            list(run_jobs([Job(str(images), config(propagation='magic'))], None, workers=workers))
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_whoever_stops_listening_stops_the_workers(images: Path) -> None:
    jobs = [Job(str(images), config(interval=i)) for i in range(1, 7)]
    found = run_jobs(jobs, None, workers=2)
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()
