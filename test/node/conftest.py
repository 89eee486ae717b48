"""What tests of the node share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from node_graph import Graph


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
