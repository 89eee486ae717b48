"""A Ray cluster of two machines on the loopback interface: the local pool's bytes, whatever dies."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from evaluation_parts import bag, clip, config, options

from vss_ros.cli.main import main
from vss_ros.errors import VssError
from vss_ros.evaluation.replay.content import code_digest
from vss_ros.evaluation.replay.evaluate_bag import evaluate_bag
from vss_ros.evaluation.sweep.pool import Job, run_jobs
from vss_ros.evaluation.sweep.ray import Task, check_room, evaluate_input, resources, run_ray_jobs

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures('one_thread')
FEW = 5
STORE_BYTES = 80 * 2**20
PORTS = ('metrics_agent_port', 'metrics_export_port', 'dashboard_agent_listen_port', 'runtime_env_agent_port')
ENVIRONMENT = {
    # Ray's switch for systems without clusters: all of it listens on the loopback interface only, which
    # nobody else reaches, for it asks for no password.
    'RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER': '0',
    'RAY_USAGE_STATS_ENABLED': '0',
}
SWEEP = """
configurations:
  lazy: {propagation: reuse, scheduler: fixed_interval}
  learned: {propagation: spatially_variant_conv}
"""


def free_ports() -> dict[str, int]:
    """Choose ports: where Ray does, it gives up on machines too busy to tell it the choice in 15 s."""
    sockets = [socket.socket() for _ in PORTS]
    for each in sockets:
        each.bind(('127.0.0.1', 0))
    found = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return dict(zip(PORTS, found, strict=True))


def add_machine(cluster: Any) -> None:
    cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES, **free_ports())


@pytest.fixture(scope='module')
def cluster() -> Iterator[Any]:
    """Start a head node that computes nothing, and two machines of one CPU."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        pytest.importorskip('ray', reason='needs Ray: pip install "vss_ros[ray]"')
        from ray.cluster_utils import Cluster

        folder = tempfile.mkdtemp(prefix='vss_ray_')  # short: the names of sockets may not be long
        patch.setenv('RAY_TMPDIR', folder)
        few = {'include_dashboard': False, 'include_log_monitor': False, 'no_monitor': True}
        head = {'num_cpus': 0, 'object_store_memory': STORE_BYTES, **few, **free_ports()}
        made = Cluster(initialize_head=True, head_node_args=head)
        try:
            add_machine(made)
            add_machine(made)
            yield made
        finally:
            made.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope='module')
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip(tmp_path_factory.mktemp('clip'), FEW)


def at_work(cluster: Any, path: str = '') -> dict[int, Any]:
    """Return the process ids of the workers that evaluate an input, any by default, with their machines."""
    raylets = {node.all_processes['raylet'][0].process.pid: node for node in cluster.worker_nodes}
    found = {}
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            title = (folder / 'cmdline').read_bytes()
            parent = int((folder / 'stat').read_text().rpartition(')')[2].split()[1])
        except (OSError, ValueError):
            continue  # gone
        if parent in raylets and title.startswith(f'ray::evaluate {path}'.encode()):
            found[int(folder.name)] = raylets[parent]
    return found


def wait_for_work(cluster: Any) -> None:
    deadline = time.monotonic() + 120
    while not at_work(cluster):
        assert time.monotonic() < deadline, 'no worker has begun'
        time.sleep(0.02)


@pytest.mark.slow
def test_the_bytes_of_the_local_pool_and_nothing_twice(
    cluster: Any, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag(images, tmp_path / 'bags' / 'a')
    made = bag(images, tmp_path / 'bags' / 'b', '--storage', 'sqlite3')
    (tmp_path / 'bags' / 'c.mcap').write_bytes(next(made.iterdir()).read_bytes()[:100])
    (tmp_path / 'sweep.yaml').write_text(SWEEP)
    monkeypatch.chdir(tmp_path)
    inputs = ['bags', str(images), 'nowhere']

    def run(out: str, *more: str) -> tuple[bytes, ...]:
        assert main(['evaluate', *inputs, '--sweep', 'sweep.yaml', '-o', out, *options(*more)]) == 1
        names = ('results.json', 'decisions/lazy.csv', 'decisions/learned.csv', 'timing.json')
        return tuple(Path(out, name).read_bytes() for name in names)

    engine = ('--engine', 'ray', '--address', cluster.address)
    local = run('local', '--workers', '2')
    ray = run('ray', *engine)
    assert ray[:3] == local[:3]
    assert run('ray', *engine) == ray  # the times too: nothing was run
    assert run('local', *engine) == local  # nor what the pool has done
    damaged = min(Path('ray', 'store').iterdir())
    damaged.write_text('{')
    assert run('ray', *engine)[:3] == local[:3]
    assert len(damaged.read_text()) > 100


@pytest.mark.slow
@pytest.mark.parametrize('what', ['worker', 'machine'])
def test_a_death_in_the_middle_changes_nothing(cluster: Any, what: str, images: Path, tmp_path: Path) -> None:
    long = clip(tmp_path / 'long', 30)
    other = shutil.copytree(images.parent, tmp_path / 'c') / 'images'
    configs = [config(p, propagation=p) for p in ('none', 'reuse', 'flow_warp')]
    jobs = [Job(str(path), each) for path in (long, images, other) for each in configs]
    expected = {job: evaluated.result for job, evaluated in run_jobs(jobs, None)}
    found = {}
    killed = 0
    for job, evaluated in run_ray_jobs(jobs, None, address=cluster.address):
        assert job not in found
        found[job] = evaluated.result
        if job == jobs[0]:  # the first of the long input's three: its worker is at the second
            [(killed, machine)] = at_work(cluster, job.path).items()
            if what == 'worker':
                os.kill(killed, signal.SIGKILL)
            else:
                cluster.remove_node(machine, allow_graceful=False)
    if what == 'machine':
        add_machine(cluster)
    assert killed
    assert found == expected


@pytest.mark.slow
def test_an_input_that_kills_every_worker_is_given_up(cluster: Any, images: Path) -> None:
    done = threading.Event()

    def kill() -> None:
        while not done.wait(0.02):
            for worker in at_work(cluster):
                os.kill(worker, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        [(_, found)] = run_ray_jobs([Job(str(images), config())], None, address=cluster.address)
    finally:
        done.set()
        killer.join()
    assert found.result.failed
    assert 'the worker died 4 times at this input' in found.result.reason


@pytest.mark.slow
def test_an_input_that_only_this_machine_sees_fails_alone(cluster: Any, images: Path) -> None:
    folder = os.open(images, os.O_RDONLY)
    os.dup2(folder, 900)  # each process has a /dev/fd of its own
    os.close(folder)
    jobs = [Job(path, config(propagation='none')) for path in ('/dev/fd/900', str(images))]
    try:
        found = dict(run_ray_jobs(jobs, None, address=cluster.address))
    finally:
        os.close(900)
    assert found[jobs[0]].result.failed
    assert 'storage that all machines see under the same paths' in found[jobs[0]].result.reason
    assert found[jobs[1]].result == evaluate_bag(images, jobs[1].config).result


@pytest.mark.slow
def test_what_no_machine_can_do_ends_the_run(
    cluster: Any, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for each, message in (
        (config(propagation='magic'), r'no propagation is called .* \(on '),
        (config(threads=64), 'a machine with 64 CPUs and 0 GPUs in the cluster, got .*1 CPUs and 0 GPUs'),
    ):
        with pytest.raises(VssError, match=message):
            list(run_ray_jobs([Job(str(images), each)], None, address=cluster.address))
    monkeypatch.setattr('ray.__version__', '0.1')
    command = ['evaluate', str(images), '--engine', 'ray', '--address', cluster.address]
    assert main([*command, *options()]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f'vss: expected the Ray and Python of the cluster at {cluster.address} here too')
    assert 'Ray: 0.1' in error


@pytest.mark.slow
def test_ctrl_c_cancels_the_tasks(cluster: Any, tmp_path: Path, project_root: Path) -> None:
    images = clip(tmp_path / 'clip', 600)  # seconds of work, which the signal is to meet
    command = [sys.executable, '-m', 'vss_ros.cli.main', 'evaluate', str(images), '-o', str(tmp_path / 'out')]
    process = subprocess.Popen(
        [*command, '--engine', 'ray', '--address', cluster.address, *options()],
        cwd=project_root,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for_work(cluster)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert errors.endswith('vss: the same command goes on from here\nvss: interrupted\n')
    deadline = time.monotonic() + 10
    while at_work(cluster):
        assert time.monotonic() < deadline, 'a worker goes on'
        time.sleep(0.02)


def test_other_code_on_a_worker_is_refused(images: Path) -> None:
    task = Task(str(images), (config(),), str(images), (), 'other')
    with pytest.raises(VssError, match='install the same on every machine of the cluster'):
        next(evaluate_input(task, frozenset()))


def test_a_worker_s_failure_has_no_key_to_be_kept_under(images: Path) -> None:
    config_of_none = replace(config(), mask_topic='/mask')  # which a folder of images does not have
    known = Task(str(images), (config(), config_of_none), str(images), (), code_digest())
    (key, good), (none, bad) = evaluate_input(known, frozenset())
    assert good is not None
    assert bad is not None
    assert (len(key), good.result.failed, none, bad.result.failed) == (64, False, '', True)
    assert list(evaluate_input(replace(known, configs=(config(),)), frozenset({key}))) == [(key, None)]


def test_a_task_reserves_what_it_uses() -> None:
    assert resources([config(), config(threads=3)]) == {'num_cpus': 3, 'num_gpus': 0}
    assert resources([config(device='cuda')]) == {'num_cpus': 1, 'num_gpus': 1}
    with pytest.raises(VssError, match='hands out GPUs itself'):
        resources([config(device='cuda:1')])
    check_room([{}, {'CPU': 4.0, 'GPU': 1.0}], {'num_cpus': 4, 'num_gpus': 1})
    with pytest.raises(VssError, match='4 CPUs and 1 GPUs in the cluster, got 8 CPUs and 0 GPUs'):
        check_room([{'CPU': 8.0}], {'num_cpus': 4, 'num_gpus': 1})


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        (['--engine', 'ray', '--address', 'here'], 'expected the head node as HOST:PORT, or auto, got'),
        (
            ['--engine', 'ray', '--address', 'ray://here:1'],
            'expected the head node as HOST:PORT, or auto, got',
        ),
        (['--engine', 'ray', '--workers', '2'], 'how many run at a time is up to Ray'),
        (['--address', 'here:1'], 'add --engine ray'),
    ],
)
def test_options_that_make_no_sense(
    more: list[str], message: str, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['evaluate', str(images), *more, *options()]) == 2
    assert message in capsys.readouterr().err


def test_without_ray_it_says_how_to_get_it(
    images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, 'ray', None)
    assert main(['evaluate', str(images), '--engine', 'ray', *options()]) == 2
    assert 'pip install "vss_ros[ray]"' in capsys.readouterr().err


def test_a_cluster_that_is_not_there(images: Path) -> None:
    pytest.importorskip('ray', reason='needs Ray: pip install "vss_ros[ray]"')
    port = free_ports()[PORTS[0]]
    with pytest.raises(VssError, match='is its head node up'):
        next(run_ray_jobs([Job(str(images), config())], None, address=f'127.0.0.1:{port}'))
