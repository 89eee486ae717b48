"""SROS2 policy of the segmentation node, made from the graph of a real one.

Example:
  tools/run python -m experiments.sros2_policy > config/sros2/segmentation.policy.xml
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.robot import robot

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME = 'segmentation'
HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!-- Made by python -m experiments.sros2_policy from the graph of a running node; see SECURITY.md. -->
<policy version="0.2.0">
  <enclaves>
    <enclave path="/segmentation">
      <profiles>
        <profile ns="/" node="segmentation">"""
TAIL = """        </profile>
      </profiles>
    </enclave>
  </enclaves>
</policy>
"""


def policy(graph: Any) -> str:
    """Return the policy, given a node that sees the segmentation node."""
    published = names(graph.get_publisher_names_and_types_by_node(NAME, '/'))
    subscribed = names(graph.get_subscriber_names_and_types_by_node(NAME, '/'))
    replied = names(graph.get_service_names_and_types_by_node(NAME, '/'))
    blocks = (
        ('services', 'reply', 'service', replied),
        ('topics', 'publish', 'topic', published),
        ('topics', 'subscribe', 'topic', subscribed),
    )
    lines = [HEAD]
    for group, verb, kind, members in blocks:
        lines.append(f'          <{group} {verb}="ALLOW">')
        lines += [f'            <{kind}>{name}</{kind}>' for name in members]
        lines.append(f'          </{group}>')
    return '\n'.join([*lines, TAIL])


def names(entries: Iterable[tuple[str, list[str]]]) -> list[str]:
    """Return names as a policy has them: the node's own with a tilde."""
    return sorted(name.replace(f'/{NAME}/', '~/', 1).removeprefix('/') for name, _ in entries)


def main() -> int:
    """Print the policy."""
    with tempfile.TemporaryDirectory() as folder, robot(Path(folder), 'diagnostics_period:=0.2') as bench:
        bench.recovers()
        sys.stdout.write(policy(bench))
    return 0


if __name__ == '__main__':
    sys.exit(main())
