"""The bond with Nav2's lifecycle manager, by which it notices when this process is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vss_ros.errors import VssError

if TYPE_CHECKING:
    from rclpy.node import Node

HEARTBEAT_S, PATIENCE_S = 0.1, 4.0
"""As Nav2's own nodes have it."""


def form_bond(node: Node) -> Any:
    """Return a bond that beats from now on, until its ``shutdown``.

    Raises:
        VssError: bondpy is not installed.
    """
    try:
        from bondpy.bondpy import Bond
    except ImportError as error:
        raise VssError(
            f'parameter bond needs the package bondpy ({error}): apt install ros-$ROS_DISTRO-bondpy, or set '
            "bond to false and the manager's bond_timeout to 0.0"
        ) from error
    bond = Bond(node, 'bond', node.get_name())
    bond.heartbeat_period, bond.heartbeat_timeout = HEARTBEAT_S, PATIENCE_S
    bond.start()
    return bond
