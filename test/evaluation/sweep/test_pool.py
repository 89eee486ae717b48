"""Worker processes: the same results as in one, and a worker's death is not the run's."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from evaluation_parts import clip, config

from vss_ros.errors import VssError
from vss_ros.evaluation.replay.input_frames import Inputs
from vss_ros.evaluation.sweep.pool import Job, expected_frames, run_jobs

if TYPE_CHECKING:
    from collections.abc import Generator

    from vss_ros.evaluation.replay.result import Evaluated

FEW = 5


def children() -> list[int]:
    """Return the processes that this one has started and not yet buried."""
    lists = Path(f'/proc/{os.getpid()}/task').glob('*/children')
    return [int(pid) for file in lists for pid in file.read_text().split()]


@pytest.fixture(autouse=True)
def nobody_stays() -> Generator[None]:
    before = set(children())
    yield
    assert set(children()) <= before


@pytest.fixture(scope='module')
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip(tmp_path_factory.mktemp('clip'), FEW)


def test_workers_change_nothing_and_survive_a_killed_one(images: Path, tmp_path: Path) -> None:
    second = shutil.copytree(images.parent, tmp_path / 'c') / 'images'
    paths = [str(images), str(second), str(tmp_path / 'missing')]
    jobs = [Job(path, config(p, propagation=p)) for path in paths for p in ('none', 'reuse')]
    killed: list[Job] = []
    before = set(children())

    def kill_once(job: Job) -> None:
        if not killed:
            killed.append(job)
            os.kill(min(set(children()) - before), signal.SIGKILL)

    alone = {job: found.result for job, found in run_jobs(jobs, None)}
    together = {job: found.result for job, found in run_jobs(jobs, None, workers=2, on_frame=kill_once)}
    assert killed
    assert together == alone
    assert [job.path for job, result in alone.items() if result.failed] == [paths[2]] * 2


@pytest.mark.slow
def test_an_input_that_kills_every_worker_is_given_up(images: Path) -> None:
    before = set(children())

    def kill(_: Job) -> None:
        for child in set(children()) - before:
            os.kill(child, signal.SIGKILL)

    [(_, found)] = run_jobs([Job(str(images), config())], None, workers=2, on_frame=kill)
    assert found.result.failed
    assert 'died 2 times' in found.result.reason


def test_a_configuration_that_cannot_be_built_ends_the_run(images: Path) -> None:
    for workers in (1, 2):
        with pytest.raises(VssError, match='no propagation is called'):
            list(run_jobs([Job(str(images), config(propagation='magic'))], None, workers=workers))


@pytest.mark.slow
def test_whoever_stops_listening_stops_the_workers(images: Path) -> None:
    jobs = [Job(str(images), config(interval=i)) for i in range(1, 7)]
    found = cast('Generator[tuple[Job, Evaluated]]', run_jobs(jobs, None, workers=2))
    next(found)
    found.close()


def test_a_worker_that_cannot_start_is_no_input_s_fault(
    images: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr('vss_ros.evaluation.sweep.pool.PROGRAM', 'vss_ros.nowhere')
    with pytest.raises(VssError, match='could not start'):
        list(run_jobs([Job(str(images), config())], None, workers=2))
    assert 'vss_ros.nowhere' in capfd.readouterr().err


@pytest.mark.slow
def test_a_worker_killed_while_it_starts_is_replaced(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'killed_at_first.py').write_text(
        'import os, signal, sys\n'
        'from multiprocessing.connection import Connection\n'
        'from pathlib import Path\n'
        'from vss_ros.evaluation.sweep.pool import work\n'
        'try:\n'
        "    Path(__file__).with_suffix('.killed').touch(exist_ok=False)\n"
        'except FileExistsError:\n'
        '    work(Connection(int(sys.argv[1])), None)\n'
        'else:\n'
        '    os.kill(os.getpid(), signal.SIGKILL)\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr('vss_ros.evaluation.sweep.pool.PROGRAM', 'killed_at_first')
    jobs = [Job(str(images), config(interval=i)) for i in (1, 2)]
    results = [found.result for _, found in run_jobs(jobs, None, workers=2)]
    assert (tmp_path / 'killed_at_first.killed').is_file()
    assert [result.failed for result in results] == [False, False]


@pytest.mark.usefixtures('one_thread')
def test_as_many_frames_are_counted_as_were_expected(tmp_path: Path) -> None:
    with_masks = clip(tmp_path / 'a', 4)
    without = clip(tmp_path / 'b', 3, masks=False)
    plain = [config('whole', propagation='none'), config('reuse', propagation='reuse')]
    plain.append(replace(config('curve', propagation='flow_warp'), pda=True, repeats=2))
    paths = (with_masks, without, tmp_path / 'missing')
    jobs = [Job(str(path), asked) for path in paths for asked in plain]
    with Inputs() as inputs:
        expected = expected_frames(jobs, inputs)
        two = expected_frames(jobs, inputs, workers=2)
    assert list(expected.values()) == [4, 4, 4 * 3, 3 + 3, 3, 3 * 3, 0, 0, 0]
    counted: Counter[Job] = Counter()
    for job, _ in run_jobs(jobs, None, on_frame=lambda job: counted.update([job])):
        assert counted[job] == expected[job]
    assert [two[job] - expected[job] for job in jobs] == [0, 0, 0, 0, 3, 0, 0, 0, 0]


def test_a_live_run_goes_through_its_input_once(tmp_path: Path) -> None:
    job = Job(str(clip(tmp_path / 'c', 4, masks=False)), config().as_live(1.0))
    with Inputs() as inputs:
        assert expected_frames([job], inputs) == {job: 4}


def test_a_store_without_room_ends_the_run_with_that_reason(
    images: Path, tmp_path: Path, small_disk: None
) -> None:
    with pytest.raises(VssError, match='cannot be written: File too large'):
        list(run_jobs([Job(str(images), config())], str(tmp_path), workers=2))
    assert not list(tmp_path.iterdir())
