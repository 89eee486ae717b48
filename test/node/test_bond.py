"""The bond with Nav2's lifecycle manager."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

pytest.importorskip('rclpy', reason='needs rclpy: make test, or source a ROS 2 distribution')
pytest.importorskip('vss_ros.msg', reason='needs the generated messages: make build')

if TYPE_CHECKING:
    from collections.abc import Callable

    from node_graph import Graph


def test_a_manager_notices_the_node(start: Callable[..., Graph]) -> None:
    bondpy = pytest.importorskip('bondpy.bondpy', reason='needs bondpy, which only a ROS distribution brings')
    graph = start(bond=True)
    manager = bondpy.Bond(graph.client, 'bond', 'segmentation')
    manager.start()
    graph.wait(lambda: manager.wait_until_formed(0.01), 'the bond')
    assert graph.node.trigger_deactivate().name == 'SUCCESS'
    graph.wait(lambda: manager.wait_until_broken(0.01), 'its end')


def test_without_bondpy_the_node_says_what_to_install(
    start: Callable[..., Graph], capfd: pytest.CaptureFixture[str]
) -> None:
    if importlib.util.find_spec('bondpy'):
        pytest.skip('bondpy is installed')
    graph = start(bond=True, start=False)
    assert graph.node.trigger_configure().name == 'SUCCESS'
    assert graph.node.trigger_activate().name == 'FAILURE'
    assert 'cannot activate: parameter bond needs the package bondpy' in capfd.readouterr().err
