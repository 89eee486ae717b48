"""Joins a Ray cluster, or says in one sentence why that cannot be."""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING, Any

from vss_ros.errors import VssError

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE = 5.0
"""Seconds that a cluster's port has for taking a connection; Ray itself tries for a quarter of an hour."""


def connect(address: str) -> Any:
    """Join a cluster and return the package ``ray``.

    Raises:
        VssError: One sentence that says why not.
    """
    host, _, port = address.rpartition(':')
    if address != 'auto' and (not host or '/' in host or not port.isdigit()):
        raise VssError(f'expected the head node as HOST:PORT, or auto, got --address {address}')
    try:
        import ray
    except ImportError as error:
        raise VssError(
            f'expected Ray for --engine ray, got: {error}; pip install "vss_ros[ray]", in the version of the '
            'cluster'
        ) from error
    if host:
        _check_port(ray.util.get_node_ip_address() if host in ('localhost', '127.0.0.1') else host, int(port))
    os.environ.setdefault('RAY_gcs_server_port_wait_time_s', '1')  # attempts, of 40 s each
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises whatever comes, a bare Exception among it
        ray.shutdown()
        raise VssError(_refusal(address, str(error))) from error
    return ray


def _check_port(host: str, port: int) -> None:
    """Refuse an address at which nobody listens."""
    try:
        socket.create_connection((host.strip('[]'), port), PATIENCE).close()
    except OSError as error:
        raise VssError(
            f'expected a Ray cluster at {host}:{port}, got: {error}; is its head node up?'
        ) from error


def _refusal(address: str, text: str) -> str:
    text = ' '.join(text.split()).rstrip('.')
    if 'ersion mismatch' in text:
        return f'expected the Ray and Python of the cluster at {address} here too, got: {text}'
    return (
        f'expected this machine in the Ray cluster of --address {address}, got: {text}; '
        'start one by `ray start --head`, join one by `ray start --address HOST:PORT`'
    )


def check_room(machines: Sequence[dict[str, float]], wanted: dict[str, int]) -> None:
    """Refuse tasks that would wait for ever.

    Args:
        machines: What each has, by Ray's names.
        wanted: ``num_cpus`` and ``num_gpus`` of a task.

    Raises:
        VssError: No machine is large enough.
    """
    cpus, gpus = wanted['num_cpus'], wanted['num_gpus']
    if not any(m.get('CPU', 0) >= cpus and m.get('GPU', 0) >= gpus for m in machines):
        got = ', '.join(f'{m.get("CPU", 0):g} CPUs and {m.get("GPU", 0):g} GPUs' for m in machines)
        raise VssError(
            f'expected a machine with {cpus} CPUs and {gpus} GPUs in the cluster, got {got or "none"}; '
            'change --threads or --device'
        )
