"""What all tests share."""

from __future__ import annotations

import os
import resource
import socket
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from node_graph import Graph

ROOT = Path(__file__).resolve().parent.parent
_domains = count()
SHARED_SETUP = {'test_system_figures.py', 'test_writing.py'}
"""Modules with a fixture that takes seconds and serves all their tests."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say what stays in one process where there are several.

    Tests that talk DDS look at clocks, so that two at a time would disturb one another; what a module's tests
    share is dear in `SHARED_SETUP`.
    """
    for item in items:
        if 'ros_domain' in getattr(item, 'fixturenames', ()):
            item.add_marker(pytest.mark.xdist_group('dds'))
        elif item.path.name in SHARED_SETUP:
            item.add_marker(pytest.mark.xdist_group(item.path.name))


@pytest.fixture(scope='session', autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what tests, and processes that they start, find out apart from the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
        yield


@pytest.fixture(scope='session')
def project_root() -> Path:
    """Return the top level of the source checkout."""
    return ROOT


@pytest.fixture(scope='session')
def SHARED() -> Path:  # noqa: N802  (a constant to the tests that use it)
    """Return the folder of data that is not part of the project; skips the test where it is missing."""
    shared = ROOT.parent / 'shared'
    if not (shared / 'data').is_dir():
        pytest.skip(f'needs the data sets in {shared}/data, which are not part of the project')
    return shared


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Keep PyTorch to one thread: tiny maps gain nothing from more, and on a busy machine lose to waiting."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def small_disk() -> Iterator[None]:
    """Let no file grow beyond a thousand bytes, in processes that the test starts too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Give the test, and the processes it starts, a ROS domain of its own on this machine only.

    Returns:
        The environment for subprocesses; ``os.environ`` has the same values during the test.
    """
    pytest.importorskip(
        'rclpy', reason='needs rclpy: run the tests with make test, or source a ROS 2 distribution'
    )
    domain = _free_domain()
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    # A profile of the shell that started pytest must not decide what a test measures.
    for name in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'):
        monkeypatch.delenv(name, raising=False)
    return dict(os.environ)


def _free_domain() -> int:
    """Return a domain in which nobody speaks, at most 100: Linux gives ports of higher ones to anybody."""
    for _ in range(100):
        # Two test runs side by side have different process ids, two tests of a run different counts.
        domain = 1 + (os.getpid() * 7 + next(_domains)) % 100
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(('', 7410 + 250 * domain))  # the discovery port of a domain's first participant
            except OSError:
                continue
        return domain
    pytest.fail('no free ROS domain from 1 to 100: end what is running there')


@pytest.fixture
def start(ros_domain: dict[str, str]) -> Iterator[Callable[..., Graph]]:
    """Return a function that starts a graph; it is closed after the test."""
    from node_graph import Graph  # imports rclpy, which ros_domain has looked for

    graphs: list[Graph] = []

    def make(**options: Any) -> Graph:
        graphs.append(Graph(**options))
        return graphs[-1]

    yield make
    for graph in graphs:
        graph.close()
