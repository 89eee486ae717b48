"""What ``vss evaluate --engine ray`` adds to the command line; Ray is looked for where it is asked for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from vss_ros.errors import VssError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from vss_ros.evaluation.replay.result import Evaluated
    from vss_ros.evaluation.sweep.pool import Job


def add_cluster_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of evaluation on several machines."""
    group = parser.add_argument_group('evaluation on a cluster (needs Ray: pip install "vss_ros[ray]")')
    group.add_argument(
        '--engine', default='local', choices=('local', 'ray'),
        help='processes of this machine, or Ray tasks, one an input (default: %(default)s)',
    )  # fmt: skip
    group.add_argument(
        '--address', default='auto', metavar='HOST:PORT',
        help="the cluster's head node (default: the cluster that this machine has joined)",
    )  # fmt: skip


def check_cluster(args: argparse.Namespace) -> None:
    """Refuse combinations that make no sense.

    Raises:
        VssError: One of them.
    """
    if args.engine == 'local':
        if args.address != 'auto':
            raise VssError('--address is of a Ray cluster; add --engine ray')
        return
    if args.workers > 1:
        raise VssError(f'--workers {args.workers}: how many run at a time is up to Ray; leave it out')
    if args.live:
        raise VssError('--live plays on this machine; leave out --engine ray')


def evaluate_on_cluster(jobs: Sequence[Job], store: Path | None, address: str) -> dict[Job, Evaluated]:
    """Return the results of all jobs; the progress bar counts inputs that are done.

    Raises:
        VssError: See ``run_ray_jobs``.
    """
    from tqdm import tqdm

    from vss_ros.evaluation.sweep.ray import run_ray_jobs

    found: dict[Job, Evaluated] = {}
    left = Counter(job.path for job in jobs)
    with tqdm(total=len(left), unit='input', desc='evaluating', disable=None) as bar:
        for job, evaluated in run_ray_jobs(jobs, None if store is None else str(store), address=address):
            found[job] = evaluated
            left[job.path] -= 1
            bar.update(int(not left[job.path]))
    return found
