"""What all tests share."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
_domains = count()


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
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Give the test, and the processes it starts, a ROS domain of its own on this machine only.

    Returns:
        The environment for subprocesses; ``os.environ`` has the same values during the test.
    """
    pytest.importorskip(
        'rclpy', reason='needs rclpy: run the tests with make test, or source a ROS 2 distribution'
    )
    # Two test runs side by side have different process ids, two tests of a run different counts. Domains up
    # to 100 keep their ports below those that Linux hands out by itself.
    domain = 1 + (os.getpid() * 7 + next(_domains)) % 100
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    # A profile of the shell that started pytest must not decide what a test measures.
    for name in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'):
        monkeypatch.delenv(name, raising=False)
    return dict(os.environ)
